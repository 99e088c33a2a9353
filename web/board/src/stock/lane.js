// What just sold out, ran low or came back.
import { effect, signal } from '@preact/signals';
import { access } from '../api/access.js';
import { statusSubscription } from '../api/documents.js';
import { session, subscribe } from '../api/socket.js';
import { route } from '../route.js';

const entriesMax = 50;

/** The newest first. */
export const lane = signal([]);
export const laneSince = Date.now();
/** Grows when a product's status has changed, for lists that are filtered by it. */
export const statusChanges = signal(0);

let waiting = [];
let scheduled = false;
let serial = 0;

function flush() {
  scheduled = false;
  lane.value = [...waiting.reverse(), ...lane.peek()].slice(0, entriesMax);
  waiting = [];
  statusChanges.value += 1;
}

function take({ stockStatusChanged: change }) {
  serial += 1;
  waiting.push({ ...change, key: serial });
  if (waiting.length > entriesMax) waiting.shift();
  if (scheduled) return;
  scheduled = true;
  setTimeout(flush, document.hidden ? 1000 : 50);
}

/** What a change means to a shop. */
export function kindOf({ status, previousStatus }) {
  if (status === 'OUT_OF_STOCK') return 'soldOut';
  if (status === 'BACKORDER') return 'onBackorder';
  if (previousStatus === 'OUT_OF_STOCK' || previousStatus === 'BACKORDER') return 'cameBack';
  return status === 'LOW_STOCK' ? 'ranLow' : 'cameBack';
}

/** Follows the status changes of the route's channel. */
export function followLane() {
  let channel;
  effect(() => {
    const now = route.value.channel;
    if (now !== channel) lane.value = [];
    channel = now;
    if (!session.value || !access.value.readInventory) return undefined;
    return subscribe(statusSubscription, { channel: now || null }, take);
  });
}
