// What is known of one conversation, and how each update changes it. No network, no page: values in, values out.

export function newConversation(id) {
  return { id, createdAt: Date.now(), touchedAt: Date.now(), position: '0', dueAt: null, isHeld: false, messages: [], batches: [] };
}

/** People begin with "hi"; the first few messages together say more. */
export function titleOf(conversation) {
  const texts = conversation.messages.map(m => m.text).filter(Boolean).slice(0, 3);
  return texts.length > 0 ? texts.join(' · ').replace(/\s+/g, ' ').slice(0, 90) : 'New conversation';
}

/** A message typed here; it is posted with this id until the server has said that it is stored. */
export function addTyped(conversation, { id, text, instructions, delay, whenBusy }) {
  const message = { id, text, instructions, delay, whenBusy, at: Date.now(), state: 'sending' };
  conversation.messages.push(message);
  conversation.touchedAt = message.at;
  return message;
}

export function applyReceipt(conversation, message, receipt) {
  message.state = 'stored';
  message.sequence = receipt.sequence;
  delete message.problem;
  if (batchOf(conversation, message)) return;
  conversation.dueAt = receipt.dueAt ? Date.parse(receipt.dueAt) : null;
  conversation.isHeld = false;
}

/** Typing holds back what waits; until when only the queue knows, and it says so with the next message. */
export function holdBack(conversation, now) {
  if (conversation.dueAt !== null && conversation.dueAt > now) conversation.isHeld = true;
}

/** One update from the event stream. Seeing one twice changes nothing. */
export function applyUpdate(conversation, update, now) {
  conversation.position = update.position;
  conversation.touchedAt = now;
  switch (update.type) {
    case 'messagesStored': return stored(conversation, update, now);
    case 'batchStarted': return started(conversation, update, now);
    case 'messagesJoined': return joined(conversation, update, now);
    case 'textDelta': return wrote(conversation, update);
    case 'toolCalled': return called(conversation, update);
    case 'toolAnswered': return answered(conversation, update);
    case 'updatesSkipped': return skipped(conversation, update, now);
    case 'approvalRequested': return asked(conversation, update);
    case 'batchInterrupted': return interrupted(conversation, update);
    case 'batchRetrying': return retrying(conversation, update, now);
    case 'batchReplied': return ended(conversation, update.reply, now, { reply: replyOf(update.reply) });
    case 'batchFailed': return ended(conversation, update.failure, now, { failure: failureOf(update.failure) });
  }
}

/** The reply to a message that was asked for by itself, because its update is no longer kept. */
export const applyReply = (conversation, reply, now) => ended(conversation, reply, now, { reply: replyOf(reply) });
export const applyFailure = (conversation, failure, now) => ended(conversation, failure, now, { failure: failureOf(failure) });

function stored(conversation, { messageIds, firstSequence, lastSequence }, now) {
  const countUp = firstSequence !== undefined && lastSequence - firstSequence === messageIds.length - 1;
  messageIds.forEach((id, i) => {
    let message = conversation.messages.find(m => m.id === id);
    if (!message) {
      message = { id, at: now, elsewhere: true };
      conversation.messages.push(message);
    }
    message.state = 'stored';
    if (countUp) message.sequence ??= firstSequence + i;
  });
}

function started(conversation, { batchId, firstSequence, lastSequence, messageIds, attempt }, now) {
  const batch = findOrAdd(conversation, batchId);
  if (batch.state === 'replied' || batch.state === 'failed') return;
  Object.assign(batch, { first: firstSequence, last: lastSequence, attempt, state: 'running', retryAt: null, text: '', gap: false });
  answers(conversation, batch, messageIds ?? [], now);
  batch.startedAt = now;
  conversation.dueAt = null;
  conversation.isHeld = false;
  dropReplaced(conversation, batch);
}

/** Messages that came during a run and that it answers too. */
function joined(conversation, { batchId, messageIds, lastSequence }, now) {
  const batch = runningOf(conversation, batchId);
  if (!batch) return;
  batch.last = Math.max(batch.last ?? 0, lastSequence);
  answers(conversation, batch, [...(batch.answers ?? []), ...messageIds], now);
}

function answers(conversation, batch, messageIds, now) {
  batch.answers = [...new Set(messageIds)];
  stored(conversation, { messageIds: batch.answers }, now);
}

/** Text while it is written. Its offset says where it belongs, so that a piece that comes twice changes nothing. */
function wrote(conversation, { batchId, offset, text }) {
  const batch = runningOf(conversation, batchId);
  if (!batch) return;
  if (offset > batch.text.length) batch.gap = true;
  batch.text = batch.gap && offset > batch.text.length ? batch.text + text : batch.text.slice(0, offset) + text;
}

function called(conversation, { batchId, callId, name, arguments: given }) {
  const batch = runningOf(conversation, batchId);
  if (batch) callOf(batch, callId, { name, arguments: given }).state = 'running';
}

function answered(conversation, { batchId, callId, name, isError }) {
  const batch = runningOf(conversation, batchId);
  if (!batch) return;
  const call = callOf(batch, callId, { name });
  // Answered without having been called: somebody rejected it, or nobody approved it in time.
  call.state = !isError ? 'done' : ['waits', 'rejected'].includes(call.state) ? 'rejected' : 'failed';
}

// Without a batch: what happened before is no longer kept, back to where this page was.
function skipped(conversation, { batchId }, now) {
  if (!batchId) conversation.missedAt = now;
  const batch = runningOf(conversation, batchId);
  if (batch) Object.assign(batch, { text: '', gap: true });
}

function asked(conversation, { batchId, calls }) {
  const batch = runningOf(conversation, batchId);
  if (!batch) return;
  for (const call of calls) callOf(batch, call.callId, call).state = 'waits';
  batch.state = 'asking';
}

// What was written until then stays to be seen, in the batch that answers the messages in its place.
function interrupted(conversation, { batchId, text }) {
  const batch = runningOf(conversation, batchId);
  if (!batch) return;
  batch.state = 'interrupted';
  if (text && (batch.gap || !batch.text)) batch.text = text;
  batch.partials = [...(batch.partials ?? []), batch.text].filter(Boolean);
}

function runningOf(conversation, batchId) {
  const batch = conversation.batches.find(b => b.id === batchId);
  return batch && !batch.reply && !batch.failure ? Object.assign(batch, { text: batch.text ?? '' }) : null;
}

function callOf(batch, id, { name, arguments: given }) {
  batch.calls ??= [];
  let call = batch.calls.find(c => c.id === id);
  if (!call) batch.calls.push(call = { id, name });
  call.arguments ??= given;
  return call;
}

function retrying(conversation, { batchId, retryAt }, now) {
  const batch = findOrAdd(conversation, batchId);
  if (batch.state === 'replied' || batch.state === 'failed') return;
  Object.assign(batch, { state: 'retrying', retryAt: Date.parse(retryAt), pausedAt: now });
}

function ended(conversation, outcome, now, what) {
  const batch = findOrAdd(conversation, outcome.batchId);
  Object.assign(batch, { first: outcome.firstSequence, last: outcome.lastSequence, messageIds: outcome.messageIds, endedAt: now, retryAt: null, ...what });
  batch.state = what.reply ? 'replied' : 'failed';
  delete batch.text; // the reply takes its place
  const last = { running: 'done', waits: 'rejected' };
  batch.calls?.forEach(call => call.state = last[call.state] ?? call.state);
  outcome.messageIds.forEach(id => {
    if (!conversation.messages.some(m => m.id === id)) conversation.messages.push({ id, at: now, state: 'stored', elsewhere: true });
  });
  dropReplaced(conversation, batch);
}

// A retry or an interrupted run that newer messages joined is a new batch; the old one has no messages any more.
function dropReplaced(conversation, batch) {
  for (const other of conversation.batches) {
    if (other !== batch && other.state === 'interrupted' && other.first >= batch.first && other.last <= batch.last) {
      batch.partials = [...new Set([...(other.partials ?? []), ...(batch.partials ?? [])])];
      batch.calls = [...(other.calls ?? []), ...(batch.calls ?? [])];
    }
  }
  conversation.batches = conversation.batches.filter(other =>
    other === batch || other.messageIds || other.first === undefined || other.last < batch.first || other.first > batch.last);
}

function findOrAdd(conversation, id) {
  let batch = conversation.batches.find(b => b.id === id);
  if (!batch) conversation.batches.push(batch = { id });
  return batch;
}

function replyOf({ text, contents, model, runId, attempt, usage, startedAt, completedAt }) {
  const took = Date.parse(completedAt) - Date.parse(startedAt);
  return {
    text, model, runId, attempt,
    took: took >= 0 && took < 86_400_000 ? took : null,
    tokens: usage?.totalTokenCount ?? null,
    images: (contents ?? []).filter(c => c.$type === 'uri' && /^image\//.test(c.mediaType ?? '') && /^https?:/.test(c.uri)).map(c => c.uri),
    at: Date.parse(completedAt) || Date.now(),
  };
}

function failureOf({ kind, error, attempts, failedAt }) {
  return { kind, error, attempts: (attempts ?? []).map(a => ({ error: a.error })), at: Date.parse(failedAt) || Date.now() };
}

export function batchOf(conversation, message) {
  return conversation.batches.find(b => b.messageIds
    ? b.messageIds.includes(message.id)
    : b.answers?.includes(message.id) || message.sequence !== undefined && b.first <= message.sequence && message.sequence <= b.last);
}

/** The conversation as the page shows it: one group a batch, and one for what waits, in the order of the messages. */
export function groupsOf(conversation) {
  const groups = new Map();
  const waiting = { key: 'waiting', messages: [] };
  for (const message of [...conversation.messages].sort(byPlace)) {
    const batch = batchOf(conversation, message);
    if (!batch) {
      waiting.messages.push(message);
      continue;
    }
    const group = groups.get(batch.id) ?? { key: batch.id, batch, messages: [] };
    group.messages.push(message);
    groups.set(batch.id, group);
  }
  const all = [...groups.values()].sort((a, b) => a.batch.first - b.batch.first);
  if (waiting.messages.length > 0) {
    waiting.behind = all.some(g => ['running', 'retrying', 'asking'].includes(g.batch.state));
    waiting.dueAt = waiting.behind ? null : conversation.dueAt;
    waiting.isHeld = !waiting.behind && Boolean(conversation.isHeld);
    waiting.since = Math.min(...waiting.messages.map(m => m.at));
    all.push(waiting);
  }
  return all;
}

/** Whether something is still to come: a wait, a run, a retry. */
export const isOpen = conversation => conversation.messages.some(m => m.state !== 'refused' && !['replied', 'failed'].includes(batchOf(conversation, m)?.state));

const byPlace = (a, b) => (a.sequence ?? Infinity) - (b.sequence ?? Infinity) || a.at - b.at;

/** Two windows of one browser have each seen something: keep what either knows. */
export function merge(mine, theirs) {
  for (const other of theirs.messages) {
    const own = mine.messages.find(m => m.id === other.id);
    if (!own) mine.messages.push(other);
    else if (own.text === undefined && other.text !== undefined) {
      Object.assign(own, { text: other.text, at: other.at });
      delete own.elsewhere;
    }
    if (own && own.sequence === undefined && other.sequence !== undefined) own.sequence = other.sequence;
    if (own?.state === 'sending' && other.state === 'stored') own.state = 'stored';
  }
  for (const other of theirs.batches) {
    const own = mine.batches.find(b => b.id === other.id);
    if (!own) mine.batches.push(other);
    else if ((other.reply || other.failure) && !own.reply && !own.failure) Object.assign(own, other);
  }
  if (mine.dueAt === null) mine.dueAt = theirs.dueAt;
  if (theirs.missedAt > (mine.missedAt ?? 0)) mine.missedAt = theirs.missedAt;
  return mine;
}
