// What the page remembers between visits. Without storage it works, and forgets.

const PREFIX = 'assistant-queue:';
const CONVERSATION = PREFIX + 'conversation:';
const KEPT_MESSAGES = 400;

export function loadAll() {
  const all = [];
  try {
    for (let i = 0; i < localStorage.length; i++) {
      const key = localStorage.key(i);
      if (key.startsWith(CONVERSATION)) {
        const conversation = parse(localStorage.getItem(key));
        if (conversation) all.push(conversation);
      }
    }
  } catch (error) {
    console.warn('The conversations of earlier visits can\'t be read.', error);
  }
  return all.sort((a, b) => b.touchedAt - a.touchedAt);
}

export function load(id) {
  try {
    return parse(localStorage.getItem(CONVERSATION + id));
  } catch {
    return null; // said once by loadAll
  }
}

export function save(conversation) {
  if (conversation.messages.length === 0) return;
  if (conversation.messages.length > KEPT_MESSAGES) conversation.messages.splice(0, conversation.messages.length - KEPT_MESSAGES);
  write(CONVERSATION + conversation.id, JSON.stringify(conversation));
}

export function remove(id) {
  try {
    localStorage.removeItem(CONVERSATION + id);
  } catch (error) {
    console.warn('The conversation can\'t be removed.', error);
  }
}

export const saveTheme = theme => write(PREFIX + 'theme', theme);

/** Calls back with the id of a conversation that another window has changed. */
export function onChangedElsewhere(callback) {
  addEventListener('storage', event => {
    if (event.key?.startsWith(CONVERSATION)) callback(event.key.slice(CONVERSATION.length), parse(event.newValue));
  });
}

function write(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch (error) {
    console.warn('This visit can\'t be remembered.', error);
  }
}

function parse(json) {
  if (!json) return null;
  try {
    const value = JSON.parse(json);
    return Array.isArray(value?.messages) && Array.isArray(value?.batches) ? value : null;
  } catch {
    return null; // written by something else; this page starts anew
  }
}
