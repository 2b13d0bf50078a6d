// Draws one group: the messages of a batch, the seam that says what happens to them, and their one reply.

import { el, icon } from './dom.js';
import { richText } from './richtext.js';

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const many = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
export const seconds = ms => ms < 9_950 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : ms < 60_000 ? `${Math.round(ms / 1000)} s` : `${Math.floor(ms / 60_000)} min ${Math.round(ms % 60_000 / 1000)} s`;

/** waiting, due, behind, running, retrying, replied, failed or sending: what the group's seam shows. */
export function phaseOf(group, now) {
  if (group.batch) return group.batch.state;
  if (group.messages.every(m => m.state === 'refused')) return 'refused';
  if (group.messages.every(m => m.state !== 'stored')) return 'sending';
  if (group.behind) return 'behind';
  return group.isHeld || (group.dueAt !== null && group.dueAt > now) ? 'waiting' : 'due';
}

/** What decides whether a group has to be drawn again. */
export function signatureOf(group, phase) {
  return JSON.stringify([phase, group.messages.map(m => [m.id, m.text, m.state, m.problem]), group.batch ?? [group.dueAt, group.isHeld, group.since]]);
}

export function draw(group, phase, now, { isFresh, onRemove, onDecide }) {
  return el('article', { class: `group ${phase}`, 'data-key': group.key, 'aria-label': labelOf(group, phase) },
    el('ol', { class: 'said', 'aria-label': `${many(group.messages.length, 'message')}` }, ...group.messages.map(m => said(m, isFresh(m.id), onRemove))),
    seam(group, phase, now),
    outcome(group, phase, onDecide));
}

/** The text of the seam; also called between drawings, since it counts. */
export function seamText(group, phase, now) {
  const n = group.messages.length, batch = group.batch;
  const stored = group.messages.filter(m => m.state === 'stored').length;
  switch (phase) {
    case 'sending': return 'Storing';
    case 'refused': return 'Not taken';
    case 'waiting': return `${stored < 2 ? 'Waiting for more' : `${stored} so far, waiting for more`} · ${group.isHeld ? 'while you type' : `${Math.ceil((group.dueAt - now) / 1000)} s`}`;
    case 'due': return `${many(n, 'message')} due, waiting for a worker`;
    case 'behind': return `${n === 1 ? 'Waits' : `${n} wait`} behind the run, next in line`;
    case 'running': return `Answering ${n === 1 ? '1 message' : `${n} messages together`} · ${seconds(now - batch.startedAt)}`;
    case 'asking': return 'Waiting for your approval';
    case 'interrupted': return 'Interrupted';
    case 'retrying': return batch.retryAt > now ? `Attempt ${batch.attempt ?? 1} failed, again in ${Math.ceil((batch.retryAt - now) / 1000)} s` : 'About to try again';
    case 'replied': return `${many(n, 'message')} → 1 run → 1 reply${batch.reply.took === null ? '' : ` · ${seconds(batch.reply.took)}`}`;
    case 'failed': return `${many(n, 'message')} given up`;
  }
}

function labelOf(group, phase) {
  return { replied: `${many(group.messages.length, 'message')} answered together`, running: 'Being answered', asking: 'Waiting for approval', interrupted: 'Interrupted', failed: 'Given up' }[phase] ?? 'Not answered yet';
}

const STATES = {
  sending: ['again', 'not stored yet'],
  refused: ['alert', 'not stored'],
  stored: ['check', 'stored'],
};

function said(message, fresh, onRemove) {
  const [symbol, word] = STATES[message.state];
  return el('li', { class: `${message.state}${fresh ? ' fresh' : ''}` },
    el('div', { class: 'bubble' }, message.text ?? el('em', {}, 'typed in another window')),
    message.instructions ? el('p', { class: 'meta' }, `with instructions: ${message.instructions}`) : null,
    message.problem ? el('p', { class: 'meta problem' }, icon('alert'), message.problem) : null,
    el('p', { class: 'meta' }, icon(symbol), `${word} `, el('time', { datetime: new Date(message.at).toISOString() }, clock.format(message.at)),
      message.state === 'refused' ? el('button', { class: 'link', type: 'button', onclick: () => onRemove(message.id) }, 'Remove') : null));
}

function seam(group, phase, now) {
  const symbol = { replied: 'merge', running: 'merge', failed: 'alert', refused: 'alert', retrying: 'again', asking: 'alert', interrupted: 'close' }[phase] ?? 'clock';
  const timing = timed(group, phase, now);
  return el('div', { class: `seam${timing ? ' timed' : ''}`, ...timing },
    el('span', { class: 'line', 'aria-hidden': 'true' }),
    el('p', { class: 'pill' }, icon(symbol), el('span', { class: 'seam-text' }, seamText(group, phase, now))));
}

// The line shrinks by itself: an animation of the whole wait, begun as long ago as the wait has lasted.
function timed(group, phase, now) {
  const [from, to] = phase === 'waiting' && !group.isHeld ? [group.since, group.dueAt] : phase === 'retrying' ? [group.batch.pausedAt, group.batch.retryAt] : [];
  return to > now && from < to ? { '--length': `${to - from}ms`, '--elapsed': `-${Math.max(0, now - from)}ms` } : null;
}

function outcome(group, phase, onDecide) {
  const batch = group.batch;
  if (phase === 'replied') return replied(batch);
  if (phase === 'failed') return failed(batch);
  if (['running', 'asking', 'interrupted', 'retrying'].includes(phase)) {
    return el('div', { class: 'outcome' }, avatar(), el('div', { class: 'answer' }, ...partials(batch), ...calls(batch, onDecide), writing(batch, phase)));
  }
  return null;
}

/** The text as it is written, or three dots before its first word. */
function writing(batch, phase) {
  if (batch.text) {
    return el('div', { class: `prose writing${phase === 'running' ? '' : ' cut'}` }, batch.gap ? el('p', { class: 'quiet' }, 'The beginning comes with the whole reply.') : null, ...richText(batch.text));
  }
  return phase === 'running' ? el('p', { class: 'typing', 'aria-label': 'The assistant is answering' }, el('i'), el('i'), el('i')) : null;
}

/** What was written before a newer message interrupted it. */
const partials = batch => (batch.partials ?? []).map(text =>
  el('div', { class: 'prose cut' }, ...richText(text), el('p', { class: 'meta left' }, icon('close'), 'interrupted by a newer message')));

const CALLS = { running: ['clock', 'calling'], done: ['check', 'called'], failed: ['alert', 'failed'], waits: ['alert', 'asks for approval'], approved: ['check', 'approved'], rejected: ['close', 'rejected'] };

function calls(batch, onDecide) {
  if (!batch.calls?.length) return [];
  return [el('ul', { class: 'calls', 'aria-label': 'Tool calls' }, ...batch.calls.map(call => {
    const [symbol, word] = CALLS[call.state];
    return el('li', { class: call.state },
      icon(symbol), el('span', { class: 'call' }, `${word} `, el('code', {}, `${call.name}(${argumentsOf(call)})`)),
      call.state === 'waits' && onDecide ? el('span', { class: 'decide' },
        el('button', { type: 'button', class: 'new small', onclick: () => onDecide(call.id, true) }, 'Approve'),
        el('button', { type: 'button', class: 'ghost text', onclick: () => onDecide(call.id, false) }, 'Reject')) : null);
  }))];
}

function argumentsOf({ arguments: given }) {
  try {
    return Object.entries(JSON.parse(given || '{}')).map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(', ').slice(0, 120);
  } catch {
    return String(given).slice(0, 120); // not an object; shown as it came
  }
}

const avatar = () => el('span', { class: 'avatar', 'aria-hidden': 'true' }, icon('merge'));

function replied(batch) {
  const { id, reply } = batch;
  return el('div', { class: 'outcome' }, avatar(),
    el('div', { class: 'answer' }, ...partials(batch), ...calls(batch),
      el('div', { class: 'prose' }, ...(reply.text.trim() ? richText(reply.text) : [el('p', { class: 'quiet' }, 'The model answered without text.')]),
        ...reply.images.map(src => el('p', {}, el('a', { href: src, target: '_blank', rel: 'noopener noreferrer' }, src)))),
      facts(id, reply.runId, reply.model, reply.tokens === null ? null : `${reply.tokens} tokens`, reply.attempt > 1 ? `attempt ${reply.attempt}` : null, clock.format(reply.at))));
}

const KINDS = {
  AttemptsExhausted: 'Every attempt failed.',
  Permanent: 'The API refused the content; trying again could not help.',
  Poison: 'Too many processes died while they ran it.',
  Delivery: 'The reply is there, but nobody took it.',
  Corrupt: 'What is stored can\'t be read.',
};

function failed({ id, failure }) {
  return el('div', { class: 'outcome' }, el('span', { class: 'avatar', 'aria-hidden': 'true' }, icon('alert')),
    el('div', { class: 'answer' },
      el('div', { class: 'prose' }, el('p', {}, el('strong', {}, KINDS[failure.kind] ?? failure.kind)), el('p', {}, failure.error)),
      failure.attempts.length > 1 ? el('details', {}, el('summary', {}, many(failure.attempts.length, 'attempt')),
        el('ol', {}, ...failure.attempts.map(a => el('li', {}, a.error)))) : null,
      facts(id, null, 'kept in the failed store', clock.format(failure.at))));
}

function facts(batchId, runId, ...rest) {
  return el('ul', { class: 'facts' },
    el('li', {}, copyable('batch', batchId)),
    runId ? el('li', {}, copyable('run', runId)) : null,
    ...rest.filter(Boolean).map(text => el('li', {}, text)));
}

function copyable(word, id) {
  const short = id.length > 16 ? `${id.slice(0, 7)}…${id.slice(-6)}` : id;
  return el('button', { class: 'copy', type: 'button', title: `Copy ${id}`, 'data-copy': id }, `${word} `, el('code', {}, short), icon('copy'));
}
