// What is known of one conversation, and how each update changes it. No network, no page: values in, values out.

export function newConversation(id) {
  return { id, createdAt: Date.now(), touchedAt: Date.now(), position: '0', dueAt: null, messages: [], batches: [] };
}

/** People begin with "hi"; the first few messages together say more. */
export function titleOf(conversation) {
  const texts = conversation.messages.map(m => m.text).filter(Boolean).slice(0, 3);
  return texts.length > 0 ? texts.join(' · ').replace(/\s+/g, ' ').slice(0, 90) : 'New conversation';
}

/** A message typed here; it is posted with this id until the server has said that it is stored. */
export function addTyped(conversation, { id, text, instructions, delay }) {
  const message = { id, text, instructions, delay, at: Date.now(), state: 'sending' };
  conversation.messages.push(message);
  conversation.touchedAt = message.at;
  return message;
}

export function applyReceipt(conversation, message, receipt) {
  message.state = 'stored';
  message.sequence = receipt.sequence;
  delete message.problem;
  if (!batchOf(conversation, message)) conversation.dueAt = receipt.dueAt ? Date.parse(receipt.dueAt) : null;
}

/** One update from the event stream. Seeing one twice changes nothing. */
export function applyUpdate(conversation, update, now) {
  conversation.position = update.position;
  conversation.touchedAt = now;
  switch (update.type) {
    case 'messagesStored': return stored(conversation, update, now);
    case 'batchStarted': return started(conversation, update, now);
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

function started(conversation, { batchId, firstSequence, lastSequence, attempt }, now) {
  const batch = findOrAdd(conversation, batchId);
  if (batch.state === 'replied' || batch.state === 'failed') return;
  Object.assign(batch, { first: firstSequence, last: lastSequence, attempt, state: 'running', retryAt: null });
  batch.startedAt = now;
  conversation.dueAt = null;
  dropReplaced(conversation, batch);
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
  outcome.messageIds.forEach(id => {
    if (!conversation.messages.some(m => m.id === id)) conversation.messages.push({ id, at: now, state: 'stored', elsewhere: true });
  });
  dropReplaced(conversation, batch);
}

// A retry that newer messages joined is a new batch; the old one has no messages any more.
function dropReplaced(conversation, batch) {
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
    : message.sequence !== undefined && b.first <= message.sequence && message.sequence <= b.last);
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
    waiting.behind = all.some(g => g.batch.state === 'running' || g.batch.state === 'retrying');
    waiting.dueAt = waiting.behind ? null : conversation.dueAt;
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
  return mine;
}
