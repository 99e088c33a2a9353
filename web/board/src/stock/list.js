// The list of products: the server filters and sorts, page by page. Pages load as far as the screen has come, and some beyond it.
import { signal } from '@preact/signals';
import { access } from '../api/access.js';
import { productsQuery } from '../api/documents.js';
import { ask, passes } from '../api/http.js';
import { addProduct, clearRows, observers } from './rows.js';

export const productsMax = 100_000;
const firstPage = 60; // a screen: it comes sooner than a whole page
const pageSize = 250;
const aheadRows = 1_000; // loaded beyond the last row on the screen
const restMs = 30; // between two pages
const retryMs = 3_000;
/** A longer list is not read again while it is shown: that would take many pages. */
export const refreshQuietlyMax = 1_500;

/** ids: in the order of the list. state: loading, part (enough for now), whole, cut (there are more than productsMax) or failed. */
export const list = signal({ ids: [], state: 'loading', error: null });

/**
 * Grows, at most once a second, when a quantity has changed, and once when the server's order has followed the last change:
 * a list in the order of quantities may be in another one by then.
 */
export const quantityChanges = signal(0);

const orderAgeMs = 11_000; // the server's order by quantity is up to 10 s old

let announced = false;
let lastAnnouncement;
observers.add(() => {
  if (announced) return;
  announced = true;
  clearTimeout(lastAnnouncement);
  lastAnnouncement = setTimeout(() => { quantityChanges.value += 1; }, orderAgeMs);
  setTimeout(() => {
    announced = false;
    quantityChanges.value += 1;
  }, 1_000);
});

let generation = 0;
let channelShown;
let wantedRows = aheadRows;
let wake = () => {};

const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Wants the rows around the last one on the screen. */
export function want(lastVisible) {
  wantedRows = lastVisible + aheadRows;
  wake();
}

// Waits until rows beyond those that are loaded are wanted, or another load begins.
async function untilWanted(loaded, mine) {
  while (mine === generation && loaded >= wantedRows) await new Promise((done) => { wake = done; });
}

/** The variables of the query for a page, without its cursor. */
export function listVariables({ q, status, location, channel, sort }) {
  const filter = {};
  if (q.trim()) filter.search = q.trim();
  if (status.length) filter.status = status;
  if (location) filter.locationId = location;
  if (channel) filter.channel = channel;
  const orderBy = { id: 'PRODUCT_ID', title: 'TITLE', quantity: 'QUANTITY', '-quantity': 'QUANTITY' }[sort];
  return { filter, orderBy, channel: channel || null, levels: Boolean(location) && access.value.readInventory };
}

function pageVariables(base, backwards, size, cursor) {
  return backwards ? { ...base, last: size, before: cursor } : { ...base, first: size, after: cursor };
}

function addNodes(nodes, ids, seen) {
  const next = ids.slice();
  for (const node of nodes) {
    addProduct(node);
    if (!seen.has(node.productId)) next.push(node.productId); // a product that moved between two pages comes twice
    seen.add(node.productId);
  }
  return next;
}

function stateOf(loaded, more) {
  if (!more) return 'whole';
  if (loaded >= productsMax) return 'cut';
  return loaded >= wantedRows ? 'part' : 'loading';
}

/**
 * Loads the list of a route. Rows that are shown stay until the first page is there; where it is quiet, until as many
 * rows are there again. Ends when the list is whole, or when another load begins.
 */
export async function load(route, quiet = false) {
  const mine = ++generation;
  const rowsBefore = quiet ? list.peek().ids.length : 0;
  if (!quiet) wantedRows = aheadRows;
  wake(); // the load before ends
  const base = listVariables(route);
  const backwards = route.sort.startsWith('-');
  const seen = new Set();
  let ids = [];
  let cursor = null;
  let size = quiet ? pageSize : firstPage;
  if (!quiet) list.value = { ...list.peek(), state: 'loading', error: null };
  while (mine === generation) {
    let page;
    try {
      ({ products: page } = await ask(productsQuery, pageVariables(base, backwards, size, cursor)));
    } catch (err) {
      if (mine !== generation) return;
      list.value = { ids: ids.length > rowsBefore ? ids : list.peek().ids, state: 'failed', error: err };
      if (!passes(err)) return;
      await wait(err.retryAfterMs ?? retryMs);
      continue;
    }
    if (mine !== generation) return;
    if (channelShown !== base.channel) clearRows();
    channelShown = base.channel;
    ids = addNodes(backwards ? page.nodes.toReversed() : page.nodes, ids, seen);
    const { hasNextPage, hasPreviousPage, startCursor, endCursor } = page.pageInfo;
    const more = backwards ? hasPreviousPage : hasNextPage;
    const ends = !more || ids.length >= productsMax;
    if (ends || ids.length >= rowsBefore) list.value = { ids, state: stateOf(ids.length, more), error: null };
    if (ends) return;
    cursor = backwards ? startCursor : endCursor;
    size = pageSize;
    await Promise.all([wait(restMs), untilWanted(ids.length, mine)]);
    if (mine === generation && list.peek().state === 'part') list.value = { ...list.peek(), state: 'loading' };
  }
}
