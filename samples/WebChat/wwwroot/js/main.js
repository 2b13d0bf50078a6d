// The page: which conversation is open, what is drawn, what the person does.

import * as api from './api.js';
import * as storage from './storage.js';
import { addTyped, applyFailure, applyReceipt, applyReply, applyUpdate, batchOf, groupsOf, holdBack, isOpen, merge, newConversation, titleOf } from './conversation.js';
import { el, icon } from './dom.js';
import { draw, phaseOf, seamText, signatureOf } from './groups.js';
import { refreshStatus, refreshStatusSoon, showSetup } from './status.js';

const $ = id => document.getElementById(id);
const now = () => Date.now() + api.clockSkew;
const conversations = new Map(storage.loadAll().map(c => [c.id, c]));
const drawn = new Map(); // key of a group -> { element, signature, group }
const seen = new Set(); // ids of messages that were drawn before, so that only new ones move in
let current, windowSeconds = 10;

// ---- conversations

const followed = new Map(); // id -> ends the following
const MAX_FOLLOWED = 3; // a browser has six connections to a server without HTTP/2

function open(id, { focus = true } = {}) {
  if (current?.id === id) return;
  current = conversations.get(id) ?? newConversation(id);
  conversations.set(id, current);
  current.messages.forEach(m => seen.add(m.id));
  drawn.clear();
  $('groups').replaceChildren();
  if (location.hash !== `#/${encodeURIComponent(id)}`) history.pushState(null, '', `#/${encodeURIComponent(id)}`);
  follow(current);
  render();
  toBottom();
  closeSide();
  if (focus && matchMedia('(hover: hover)').matches) $('text').focus();
  resume(current);
}

/** Follows the open conversation, and goes on with a few others that wait for something. */
function follow(conversation) {
  unfollow(conversation.id);
  for (const id of followed.keys()) if (followed.size >= MAX_FOLLOWED || !conversations.has(id) || !isOpen(conversations.get(id))) unfollow(id);
  showLive('connecting');
  followed.set(conversation.id, api.follow(conversation.id, () => conversation.position, {
    onState: state => conversation === current && showLive(state),
    onUpdate: update => {
      applyUpdate(conversation, update, now());
      if (update.type === 'textDelta') return written(conversation);
      changed(conversation);
      tell(conversation, update);
      refreshStatusSoon();
      if (conversation !== current && !isOpen(conversation)) unfollow(conversation.id);
    },
  }));
}

function unfollow(id) {
  followed.get(id)?.();
  followed.delete(id);
}

// Text comes up to 25 times a second: drawn once a frame, remembered twice a second.
let drawing, remembering;
function written(conversation) {
  drawing ??= requestAnimationFrame(() => { drawing = undefined; render(); });
  remembering ??= setTimeout(() => { remembering = undefined; storage.save(conversation); }, 500);
}

const MISSED = 'What happened here while this page was closed may be missing: it is no longer kept.';

/** For those who listen instead of looking. */
function tell(conversation, { type, batchId, reply, failure }) {
  if (conversation !== current) return;
  if (type === 'batchStarted') announce('The assistant is answering.');
  else if (type === 'batchReplied') announce(`One reply to ${reply.messageIds.length} messages: ${reply.text.slice(0, 400)}`);
  else if (type === 'approvalRequested') announce('A tool call waits for your approval.');
  else if (type === 'batchInterrupted') announce('The run was interrupted; the next one answers everything.');
  else if (type === 'updatesSkipped' && !batchId) announce(MISSED);
  else if (type === 'batchRetrying') announce('The attempt failed and will be repeated.');
  else if (type === 'batchFailed') announce(`The messages were given up: ${failure.error}`);
}

const randomId = () => [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
const openNew = () => open(`web-${randomId().slice(0, 12)}`);

function changed(conversation) {
  storage.save(conversation);
  render();
}

/** After a reload: what was being sent is sent again, with the same id; what should have been answered long ago is asked for. */
async function resume(conversation) {
  conversation.messages.filter(m => m.state === 'sending').forEach(m => send(conversation, m));
  const old = conversation.messages.filter(m => m.state === 'stored' && !m.elsewhere && Date.now() - m.at > 60_000 && !hasOutcome(conversation, m));
  for (const message of old) {
    if (hasOutcome(conversation, message)) continue; // answered together with the one before
    try {
      const reply = await api.reply(conversation.id, message.id, 1);
      if (!reply) break; // it waits or runs; updates will tell
      applyReply(conversation, reply, now());
    } catch (error) {
      if (error.status === 422) applyFailure(conversation, error.problem.failure, now());
      else if (error.status === 404) Object.assign(message, { problem: 'Its reply is no longer kept.' });
      else break; // out of reach; the next visit asks again
    }
    changed(conversation);
  }
}

const hasOutcome = (conversation, message) => ['replied', 'failed'].includes(batchOf(conversation, message)?.state);

// ---- sending: one after the other, so that the order typed is the order stored

const queues = new Map();

function send(conversation, message) {
  const before = queues.get(conversation.id) ?? Promise.resolve();
  queues.set(conversation.id, before.then(() => store(conversation, message)));
}

async function store(conversation, message) {
  for (let pause = 1000; ; pause = Math.min(pause * 2, 15_000)) {
    try {
      applyReceipt(conversation, message, await api.post(conversation.id, message));
      break;
    } catch (error) {
      // Not a refusal: the server could not be reached. The same id makes repeating safe either way.
      if (error instanceof api.Refusal && !error.again) {
        Object.assign(message, { state: 'refused', problem: error.message });
        break;
      }
      message.problem = `${error instanceof api.Refusal ? error.message : 'The server can\'t be reached.'} Trying again.`;
      changed(conversation);
      await new Promise(resolve => setTimeout(resolve, pause));
    }
  }
  changed(conversation);
  refreshStatusSoon();
}

function say(text, extra = {}) {
  const message = addTyped(current, { id: randomId(), text, ...extra });
  changed(current);
  toBottom();
  send(current, message);
}

async function sayThree() {
  const conversation = current;
  for (const text of ['hi', 'one question', 'is my order 4711 late?']) {
    if (current !== conversation) return;
    say(text);
    await new Promise(resolve => setTimeout(resolve, 900));
  }
}

// ---- drawing

function render() {
  const log = $('log');
  const atBottom = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const groups = groupsOf(current);
  const time = now();
  const elements = groups.map(group => {
    const phase = phaseOf(group, time);
    const signature = signatureOf(group, phase);
    const known = drawn.get(group.key);
    if (known?.signature === signature) {
      known.group = group;
      return known.element;
    }
    const element = draw(group, phase, time, { isFresh: id => !seen.has(id), onRemove: removeMessage, onDecide: decide });
    if (known && known.phase !== phase) element.classList.add('changed');
    drawn.set(group.key, { element, signature, group, phase });
    group.messages.forEach(m => seen.add(m.id));
    return element;
  });
  if (current.missedAt) elements.splice(groups.filter(g => g.batch?.endedAt <= current.missedAt).length, 0, missed());
  for (const key of drawn.keys()) if (!groups.some(g => g.key === key)) drawn.delete(key);
  place(elements.length > 0 ? elements : [empty()]);
  $('title').textContent = titleOf(current);
  $('thread-id').textContent = current.id;
  $('title').title = titleOf(current);
  showInterrupt(groups);
  renderList();
  if (atBottom) toBottom();
}

// Only what differs is touched: replacing everything would stop animations and be read out again.
function place(elements) {
  const column = $('groups');
  elements.forEach((element, i) => {
    if (column.children[i] !== element) column.insertBefore(element, column.children[i] ?? null);
  });
  while (column.children.length > elements.length) column.lastChild.remove();
}

let missedElement;
const missed = () => missedElement ??= el('p', { class: 'missed quiet' }, icon('alert'), MISSED);

let emptyElement;
function empty() {
  emptyElement ??= el('div', { class: 'empty' },
    picture(),
    el('h3', {}, 'Several messages, one run, one reply'),
    el('p', {}, 'People type in bursts. Messages that arrive within ', el('strong', { class: 'window' }), ' are gathered, go to the model as one run, and get one reply.'),
    el('button', { class: 'new', type: 'button', onclick: sayThree }, icon('merge'), 'Send three messages for me'));
  emptyElement.querySelector('.window').textContent = windowSeconds === 1 ? '1 second' : `${windowSeconds} seconds`;
  return emptyElement;
}

function picture() {
  const box = el('div', { class: 'picture', 'aria-hidden': 'true' });
  box.append(el('span'), el('span'), el('span'), icon('merge'), el('b'));
  return box;
}

let listed;
function renderList() {
  const items = [...conversations.values()].filter(c => c.messages.length > 0 || c === current).sort((a, b) => b.touchedAt - a.touchedAt)
    .map(c => ({ id: c.id, name: titleOf(c), sub: summaryOf(c), isCurrent: c === current }));
  const signature = JSON.stringify(items);
  if (signature === listed) return;
  listed = signature;
  const focused = document.activeElement?.closest('#threads a')?.hash;
  $('threads').replaceChildren(...items.map(({ id, name, sub, isCurrent }) => el('li', { class: isCurrent ? 'current' : null },
    el('a', { href: `#/${encodeURIComponent(id)}`, 'aria-current': isCurrent ? 'page' : null }, el('span', { class: 'name' }, name), el('span', { class: 'sub' }, sub)),
    isCurrent ? null : el('button', { class: 'ghost small', type: 'button', 'aria-label': `Remove ${name} from this list`, onclick: () => removeConversation(id) }, icon('close')))));
  if (focused) [...$('threads').querySelectorAll('a')].find(a => a.hash === focused)?.focus();
}

function summaryOf(conversation) {
  const groups = groupsOf(conversation);
  if (groups.length === 0) return 'nothing said yet';
  const last = groups.at(-1), phase = phaseOf(last, now());
  const messages = `${conversation.messages.length} message${conversation.messages.length === 1 ? '' : 's'}`;
  const runs = groups.filter(g => g.batch).length;
  return { running: 'answering…', asking: 'waits for approval', interrupted: 'interrupted', retrying: 'trying again', failed: 'given up', refused: 'not taken', replied: `${messages}, ${runs} run${runs === 1 ? '' : 's'}` }[phase] ?? `${last.messages.length} waiting`;
}

function removeMessage(id) {
  current.messages = current.messages.filter(m => m.id !== id);
  changed(current);
}

function removeConversation(id) {
  unfollow(id);
  conversations.delete(id);
  storage.remove(id);
  renderList();
}

// Counts between drawings; a phase that ends by itself (the window closes) draws anew.
setInterval(() => {
  const time = now();
  for (const { element, group, phase } of drawn.values()) {
    if (phaseOf(group, time) !== phase) return render();
    if (phase === 'waiting' || phase === 'running' || phase === 'retrying') element.querySelector('.seam-text').textContent = seamText(group, phase, time);
  }
}, 100);

function toBottom() {
  $('log').scrollTop = $('log').scrollHeight;
}

function announce(text) {
  $('announce').textContent = text;
}

const LIVE = { live: 'Live', connecting: 'Connecting', reconnecting: 'Reconnecting' };
function showLive(state) {
  $('live').dataset.state = state;
  $('live-text').textContent = LIVE[state];
}

async function showWindow() {
  windowSeconds = await showSetup() ?? windowSeconds;
  $('hint').textContent = `Enter sends, Shift+Enter makes a new line. Messages within ${windowSeconds} s are answered together.`;
  if (current.messages.length === 0) render();
}

// ---- what the person does

const text = $('text');

function grow() {
  text.style.height = 'auto';
  text.style.height = `${Math.min(text.scrollHeight, 200)}px`;
  text.style.overflowY = text.scrollHeight > 200 ? 'auto' : 'hidden';
  $('send').disabled = $('interrupt').disabled = !text.value.trim();
}

function submit(extra = {}) {
  if (!text.value.trim()) return;
  const delay = $('delay').value;
  say(text.value.trim(), { instructions: $('instructions').value.trim() || undefined, delay: delay === '' ? undefined : Number(delay), ...extra });
  text.value = $('instructions').value = $('delay').value = '';
  grow();
  text.focus();
}

$('composer').addEventListener('submit', event => {
  event.preventDefault();
  submit();
});
// Due at once: what it interrupts has waited already.
$('interrupt').addEventListener('click', () => submit({ whenBusy: 'Interrupt' }));
text.addEventListener('input', () => {
  grow();
  sayTyping();
});

/** While messages wait, typing holds them back; told every two seconds at the most. */
let toldTyping = 0;
function sayTyping() {
  const waits = groupsOf(current).some(group => phaseOf(group, now()) === 'waiting');
  if (!waits || !text.value.trim() || Date.now() - toldTyping < 2000) return;
  toldTyping = Date.now();
  const conversation = current;
  api.typing(conversation.id).then(() => {
    holdBack(conversation, now());
    changed(conversation);
  }, () => {}); // without it the window only ends earlier
}

/** The button that interrupts is there while there is something to interrupt. */
function showInterrupt(groups) {
  $('interrupt').hidden = !groups.some(group => ['running', 'asking'].includes(group.batch?.state));
  $('interrupt').disabled = $('send').disabled;
}

async function decide(callId, approved) {
  const conversation = current;
  const call = conversation.batches.flatMap(b => b.calls ?? []).find(c => c.id === callId && c.state === 'waits');
  if (!call) return;
  call.state = approved ? 'approved' : 'rejected';
  changed(conversation);
  try {
    await api.decide(conversation.id, callId, approved);
  } catch (error) {
    if (!(error instanceof api.Refusal) || error.again) call.state = 'waits'; // to be tried again
    announce(error.message);
    changed(conversation);
  }
}

text.addEventListener('keydown', event => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $('composer').requestSubmit();
  }
});

$('toggle-extras').addEventListener('click', () => {
  $('extras').hidden = !$('extras').hidden;
  $('toggle-extras').setAttribute('aria-expanded', String(!$('extras').hidden));
  if (!$('extras').hidden) $('instructions').focus();
});

$('new').addEventListener('click', openNew);
$('groups').addEventListener('click', async event => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add('copied');
    announce('Copied.');
    setTimeout(() => button.classList.remove('copied'), 1200);
  } catch {
    getSelection().selectAllChildren(button.querySelector('code')); // no clipboard without https: at least select it
  }
});

$('log').addEventListener('scroll', () => {
  const log = $('log');
  $('jump').hidden = log.scrollHeight - log.scrollTop - log.clientHeight < 240;
}, { passive: true });
$('jump').addEventListener('click', () => $('log').scrollTo({ top: $('log').scrollHeight, behavior: 'smooth' }));

// The list is beside the chat on a wide window and above it on a narrow one.
const narrow = matchMedia('(max-width: 860px)');
function showSide(visible) {
  document.body.classList.toggle('side-open', visible);
  $('side').inert = narrow.matches && !visible;
  $('chat').inert = narrow.matches && visible;
  $('scrim').hidden = !visible;
  $('open-side').setAttribute('aria-expanded', String(visible));
}
function closeSide() {
  showSide(false);
}
$('open-side').addEventListener('click', () => { showSide(true); $('close-side').focus(); });
$('close-side').addEventListener('click', () => { closeSide(); $('open-side').focus(); });
$('scrim').addEventListener('click', closeSide);
narrow.addEventListener('change', closeSide);
addEventListener('keydown', event => { if (event.key === 'Escape') closeSide(); });

const THEMES = ['', 'light', 'dark'];
function showTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  $('theme').setAttribute('aria-label', `Colours: ${theme || 'as the system'}`);
  $('theme').title = $('theme').getAttribute('aria-label');
}
$('theme').addEventListener('click', () => {
  const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? '') + 1) % THEMES.length];
  storage.saveTheme(theme);
  showTheme(theme);
});

addEventListener('popstate', () => openFromAddress());
addEventListener('hashchange', () => openFromAddress());
document.addEventListener('visibilitychange', () => document.hidden || refreshStatus());
storage.onChangedElsewhere((id, theirs) => {
  const mine = conversations.get(id);
  if (!theirs) {
    if (mine !== current) conversations.delete(id);
  } else if (mine) merge(mine, theirs);
  else conversations.set(id, theirs);
  render();
});

function openFromAddress() {
  const id = location.hash.startsWith('#/') ? decodeURIComponent(location.hash.slice(2)) : '';
  if (id) open(id, { focus: false });
  else if (!current) openNew();
}

const latest = [...conversations.values()][0];
showTheme(document.documentElement.dataset.theme ?? '');
if (!location.hash.startsWith('#/') && latest) open(latest.id);
else openFromAddress();
showWindow();
refreshStatus();
