// The live stock of the products on the screen: one subscription for a window of the list. The next one begins before the
// last one ends, so that no change is missed.
import { stockSubscription } from '../api/documents.js';
import { subscribe } from '../api/socket.js';
import { receive } from './rows.js';
import { markStale, wantLines } from './sparklines.js';

export const windowMax = 250; // the server's bound for one subscription
const marginRows = 60; // watched beyond the screen, for scrolling
const settleMs = 120;

let current = { ids: new Set(), key: '', end: () => {} };
let timer;

function watch(ids, channel, levels) {
  const last = current;
  const end = subscribe(stockSubscription, { ids, channel: channel || null, levels }, ({ stockChanged }) => {
    last.end(); // the new window has begun
    last.end = () => {};
    receive(stockChanged);
  });
  current = { ids: new Set(ids), key: `${channel} ${levels}`, end: () => { last.end(); end(); } };
  markStale([...last.ids].filter((id) => !current.ids.has(id)));
}

/** Watches the rows from first to last of the list, and some around them. */
export function watchWindow(ids, first, last, channel, levels) {
  clearTimeout(timer);
  const visible = ids.slice(first, last + 1);
  if (!visible.length) return;
  if (current.key === `${channel} ${levels}` && visible.every((id) => current.ids.has(id))) return;
  timer = setTimeout(() => {
    const from = Math.max(0, first - marginRows);
    watch(ids.slice(from, Math.min(last + 1 + marginRows, from + windowMax)), channel, levels);
  }, current.ids.size ? settleMs : 0);
}

/** Ends the subscription: the list is not shown. */
export function unwatch() {
  clearTimeout(timer);
  current.end();
  markStale(current.ids);
  wantLines([]);
  current = { ids: new Set(), key: '', end: () => {} };
}
