// The quantities of the last hour, for the rows on the screen. They are read once; live changes are added.
import { signal } from '@preact/signals';
import { access } from '../api/access.js';
import { historiesQuery } from '../api/documents.js';
import { ask } from '../api/http.js';
import { serverNow } from '../api/clock.js';
import { observers, rowOf } from './rows.js';

const hourMs = 3_600_000;
const points = 60;
const batchMax = 50; // products of one query
const linesMax = 2_000; // kept; the oldest are forgotten
const settleMs = 250;
const redrawMs = 1_000;
const youngestMs = 120_000;
const stepMs = hourMs / (2 * points); // two changes within it are one point

const lines = new Map(); // product id -> {values: [{at, quantity}], drawn, stamp}
let wanted = new Map();
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

// A product that changes all the time keeps the last hour too, with a bounded number of points: the last one of a step
// is replaced, and of those older than an hour one stays, for the quantity at its beginning.
function addPoint(values, point) {
  const before = values.at(-2);
  if (before && Math.floor(before.at / stepMs) === Math.floor(point.at / stepMs)) values.pop();
  values.push(point);
  const since = point.at - hourMs;
  let old = 0;
  while (values[old + 1]?.at < since) old += 1;
  if (old) values.splice(0, old);
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

// The oldest moments may be missing, so the times are counted from the last one. A channel's buffer is not in the history:
// the live values are moved by it.
function takeHistory({ productId, since, until, points: past }) {
  const line = lines.get(productId);
  if (!line || !past.length) return;
  const last = Date.parse(until);
  const step = (last - Date.parse(since)) / (points - 1);
  const values = past.map(({ available }, i) => ({ at: last - (past.length - 1 - i) * step, quantity: available }));
  const newer = line.values.filter(({ at }) => at > last);
  const now = newer.length ? null : rowOf(productId)?.quantity;
  line.offset = now === null || now === undefined ? line.offset : values.at(-1).quantity - now;
  line.values = [...values, ...newer];
  line.stamp.value += 1;
}

async function read() {
  const ids = [...wanted.keys()].slice(0, batchMax);
  wanted = new Map([...wanted].slice(batchMax));
  if (!ids.length) return;
  const mine = channel;
  try {
    const { stockHistories } = await ask(historiesQuery, { ids, since: new Date(serverNow() - hourMs).toISOString(), points, channel: mine || null });
    if (mine !== channel) return;
    for (const history of stockHistories) if (history) takeHistory(history);
  } catch {
    ids.forEach((id) => { const line = lines.get(id); if (line) line.asked = false; });
    return;
  }
  if (wanted.size) timer = setTimeout(read, settleMs);
}

/** Wants the lines of these products. They are read when scrolling has ended. */
export function wantLines(ids, forChannel) {
  if (forChannel !== channel) {
    channel = forChannel;
    lines.clear();
  }
  wanted = new Map();
  if (!access.peek().readInventory) return;
  for (const id of ids) {
    const line = lineOf(id);
    if (!line.asked) wanted.set(id, true);
  }
  clearTimeout(timer);
  if (wanted.size) timer = setTimeout(() => { wanted.forEach((_, id) => { lineOf(id).asked = true; }); read(); }, settleMs);
}

/**
 * The line as paths of an SVG of this size: steps, because a quantity is constant between two changes. It is as wide as
 * an hour; of a younger product as its life, two minutes at least. `before` is the part before its first movement.
 */
export function toPath(values, width, height, now = serverNow()) {
  const since = Math.max(now - hourMs, Math.min(values[0]?.at ?? 0, now - youngestMs));
  const recent = values.filter(({ at }, i) => at >= since || (values[i + 1]?.at ?? now) >= since); // the last one is true until now
  if (!recent.length) return { path: '', before: '' };
  let low = Infinity;
  let high = -Infinity;
  for (const { quantity } of recent) { low = Math.min(low, quantity); high = Math.max(high, quantity); }
  const x = (at) => (Math.max(0, (at - since) / (now - since)) * width).toFixed(1);
  const y = (quantity) => (high === low ? height / 2 : height - 1 - ((quantity - low) / (high - low)) * (height - 2)).toFixed(1);
  let path = `M${x(recent[0].at)} ${y(recent[0].quantity)}`;
  for (const { at, quantity } of recent.slice(1)) path += `H${x(at)}V${y(quantity)}`;
  return { path: `${path}H${width}`, before: `M0 ${y(recent[0].quantity)}H${x(recent[0].at)}` };
}
