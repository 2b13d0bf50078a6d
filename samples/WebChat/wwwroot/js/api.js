// The HTTP interface of WebChat.

const threadPath = id => `api/threads/${encodeURIComponent(id)}`;
const EVENTS = ['messagesStored', 'batchStarted', 'messagesJoined', 'textDelta', 'toolCalled', 'toolAnswered', 'updatesSkipped',
  'approvalRequested', 'batchInterrupted', 'batchReplied', 'batchRetrying', 'batchFailed'];

/** An answer that says no; `again` tells whether the same call may work later. */
export class Refusal extends Error {
  constructor(problem, status) {
    super(problem?.detail ?? problem?.title ?? `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
    this.again = status === 429 || status >= 500;
  }
}

/** How far the server's clock is ahead of this one, in ms; answers carry whole seconds, so less than two are ignored. */
export let clockSkew = 0;

async function call(path, init) {
  const response = await fetch(path, init);
  const date = Date.parse(response.headers.get('date'));
  if (date) {
    const skew = date + 500 - Date.now();
    clockSkew = Math.abs(skew) < 2000 ? 0 : skew;
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Refusal(body, response.status);
  return body;
}

const json = body => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

export const post = (threadId, { id, text, instructions, delay, whenBusy }) =>
  call(`${threadPath(threadId)}/messages`, json({ text, messageId: id, instructions, delay, whenBusy }));

/** The person is typing: what waits waits a little longer. */
export const typing = threadId => call(`${threadPath(threadId)}/typing`, { method: 'POST' });

/** Approves or rejects a tool call that waits for it. */
export const decide = (threadId, callId, approved) => call(`${threadPath(threadId)}/calls/${encodeURIComponent(callId)}`, json({ approved }));

/** The reply, or null when there is none within the seconds. */
export const reply = (threadId, messageId, seconds) =>
  call(`${threadPath(threadId)}/messages/${encodeURIComponent(messageId)}/reply?timeout=${seconds}`);

export const status = () => call('api/queue/status');
export const setup = () => call('api/queue/setup');

/**
 * Follows a thread. The browser connects again by itself and sends the last id; when it gives up, we begin anew from `after()`.
 * Returns a function that ends it.
 */
export function follow(threadId, after, { onUpdate, onState }) {
  let source, timer, over = false;
  const open = () => {
    source = new EventSource(`${threadPath(threadId)}/events?after=${encodeURIComponent(after())}`);
    source.onopen = () => onState('live');
    source.onerror = () => {
      if (over) return;
      onState('reconnecting');
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, 3000);
    };
    for (const name of EVENTS) source.addEventListener(name, event => onUpdate(JSON.parse(event.data)));
  };
  open();
  return () => {
    over = true;
    clearTimeout(timer);
    source.close();
  };
}
