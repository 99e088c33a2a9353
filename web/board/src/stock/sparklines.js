// The quantities of the last hour, for the rows on the screen. They are read once; live changes are added. A line whose
// product was not watched for a while is read again.
import { effect, signal } from '@preact/signals';
import { access } from '../api/access.js';
import { historiesQuery } from '../api/documents.js';
import { ask } from '../api/http.js';
import { serverNow } from '../api/clock.js';
import { connection } from '../api/socket.js';
import { addPoint, hourMs, points, toValues } from './hour.js';
import { observers, rowOf } from './rows.js';

const batchMax = 50; // products of one query
const linesMax = 500; // kept; the oldest are forgotten
const settleMs = 250;
const retryMs = 5_000;
const redrawMs = 1_000;

const lines = new Map(); // product id -> {values: [{at, quantity}], offset, asked, stamp, stampedAt}
let shown = [];
let wanted = []; // of these, those that have not been asked for
let timer;
let channel = '';

/** A line's points, or undefined. Reading `stamp` in a component makes it follow. */
export function lineOf(id) {
  let line = lines.get(id);
  if (!line) {
    line = { values: [], offset: 0, asked: false, stamp: signal(0), stampedAt: 0 };
    lines.set(id, line);
    if (lines.size > linesMax) lines.delete(lines.keys().next().value);
  }
  return line;
}

observers.add((row) => {
  const line = lines.get(row.id);
  if (!line || row.quantity === null) return;
  addPoint(line.values, { at: serverNow(), quantity: row.quantity + line.offset });
  const now = Date.now();
  if (now - line.stampedAt > redrawMs) { // a line that changes all the time is drawn once a second
    line.stampedAt = now;
    line.stamp.value += 1;
  }
});

// A channel's buffer is not in the history: the live values are moved by it.
function takeHistory(history) {
  const line = lines.get(history.productId);
  if (!line || !history.points.length) return;
  const values = toValues(history);
  const newer = line.values.filter(({ at }) => at > values.at(-1).at);
  const now = newer.length ? null : rowOf(history.productId)?.quantity;
  line.offset = now === null || now === undefined ? line.offset : values.at(-1).quantity - now;
  line.values = [...values, ...newer];
  line.stamp.value += 1;
}

async function read() {
  const ids = wanted.splice(0, batchMax);
  for (const id of ids) lineOf(id).asked = true;
  const mine = channel;
  try {
    const { stockHistories } = await ask(historiesQuery, { ids, since: new Date(serverNow() - hourMs).toISOString(), points, channel: mine || null });
    if (mine !== channel) return;
    for (const history of stockHistories) if (history) takeHistory(history);
  } catch {
    markStale(ids);
    readAfter(retryMs, () => wantLines(shown));
    return;
  }
  if (wanted.length) readAfter(settleMs, read);
}

function readAfter(ms, what) {
  clearTimeout(timer);
  timer = setTimeout(what, ms);
}

/** Wants the lines of these products, and no others. They are read when scrolling has ended. */
export function wantLines(ids, forChannel = channel) {
  shown = ids;
  if (forChannel !== channel) {
    channel = forChannel;
    lines.clear();
  }
  wanted = access.peek().readInventory ? ids.filter((id) => !lineOf(id).asked) : [];
  clearTimeout(timer);
  if (wanted.length) readAfter(settleMs, read);
}

/** Changes of these products may have been missed: their lines are read again when they are wanted. */
export function markStale(ids) {
  for (const id of ids) {
    const line = lines.get(id);
    if (line) line.asked = false;
  }
}

/** Reads the lines on the screen again after each connection. */
export const followLines = () => effect(() => {
  if (connection.value < 2) return;
  markStale(lines.keys());
  wantLines(shown);
});
