// The corner that says how the queue is doing and what it stands on.

import * as api from './api.js';
import { el } from './dom.js';

const PAUSE = 4000;
let timer;

export async function refreshStatus() {
  clearTimeout(timer);
  const note = document.getElementById('status-note');
  try {
    const status = await api.status();
    for (const cell of document.querySelectorAll('[data-count]')) {
      const value = status[cell.dataset.count] ?? 0;
      cell.textContent = value.toLocaleString();
      cell.parentElement.classList.toggle('some', value > 0);
    }
    note.textContent = status.isEstimate ? '(estimate)' : '';
  } catch {
    note.textContent = '(out of reach)'; // asked again below
  }
  timer = setTimeout(() => document.hidden || refreshStatus(), PAUSE);
}

/** After something has happened; several things at once are one question. */
export function refreshStatusSoon() {
  clearTimeout(timer);
  timer = setTimeout(refreshStatus, 150);
}

/** Shows what the program stands on; returns the window's seconds, or null when it can't be asked. */
export async function showSetup() {
  try {
    const { model, redis, worker, seconds } = await api.setup();
    document.getElementById('setup').replaceChildren(...[['Model', model], ['Redis', redis], ['Worker', worker]].map(([name, value]) =>
      el('span', { title: value }, el('b', {}, name), ` ${value}`)));
    return seconds;
  } catch {
    return null; // only an ornament
  }
}
