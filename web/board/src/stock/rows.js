// The products that the page knows, each with its newest stock. The rows are plain objects, because there may be 100,000.
// A row gets a signal when it is shown first.
import { batch, signal } from '@preact/signals';
import { connection } from '../api/socket.js';

const rows = new Map();
let waiting = new Map(); // product id -> the newest stock since the last frame
let scheduled = false;

/** Called for each change of a known product, with its row and the quantity before. */
export const observers = new Set();

export const rowOf = (id) => rows.get(id);

/** The row's signal: it grows with each change. */
export const changesOf = (row) => (row.changed ??= signal(0));

/** Forgets everything: another channel shows other quantities. */
export function clearRows() {
  rows.clear();
  waiting = new Map();
}

/** Adds a product, or gives a known one its newest settings. Returns its row. */
export function addProduct({ productId, title, tracked, inventoryPolicy, lowStockThreshold, maxPerReservation, stock }) {
  let row = rows.get(productId);
  if (!row) {
    row = { id: productId, version: -1, connection: -1, quantity: undefined, delta: 0, flashes: 0, changedAt: 0, changed: undefined };
    rows.set(productId, row);
  }
  row.title = title ?? productId;
  row.tracked = tracked;
  row.policy = inventoryPolicy;
  row.threshold = lowStockThreshold;
  row.limit = maxPerReservation;
  apply(stock);
  return row;
}

// A list that is filtered by location has levels of stock that is known already.
function takeLevels(row, levels) {
  row.levels = levels;
  if (row.changed) row.changed.value += 1;
}

// A value of an earlier connection gives way to a lower version: the database may have been restored from a backup.
function apply(stock) {
  const row = rows.get(stock.productId);
  if (!row) return;
  if (stock.version <= row.version && row.connection === connection.peek()) {
    if (stock.version === row.version && stock.levels && !row.levels) takeLevels(row, stock.levels);
    return;
  }
  const before = row.quantity;
  const known = row.version >= 0;
  row.version = stock.version;
  row.connection = connection.peek();
  row.quantity = stock.quantityAvailable;
  row.status = stock.status;
  row.forSale = stock.availableForSale;
  row.restockAt = stock.nextRestockAt;
  row.levels = stock.levels;
  if (known && before !== row.quantity) {
    row.delta = (row.quantity ?? 0) - (before ?? 0);
    row.flashes += 1;
    row.changedAt = Date.now();
    observers.forEach((observe) => observe(row));
  }
  if (row.changed) row.changed.value += 1;
}

function flush() {
  scheduled = false;
  const now = waiting;
  waiting = new Map();
  batch(() => now.forEach(apply));
}

/** Takes one event. All events of a frame are shown together, and only the newest of each product. */
export function receive(stock) {
  const queued = waiting.get(stock.productId);
  if (!queued || queued.version <= stock.version) waiting.set(stock.productId, stock);
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(flush, 0); // a hidden page has no frames
  else requestAnimationFrame(flush);
}
