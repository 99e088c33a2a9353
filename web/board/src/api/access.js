// What the caller may do, and what the page must say about the server.
import { signal } from '@preact/signals';
import { accessQuery } from './documents.js';
import { measureClock } from './clock.js';
import { passes, send, toError } from './http.js';
import { scopesOf, token } from './token.js';

const refused = new Set(['UNAUTHENTICATED', 'FORBIDDEN']);
const retryMs = 3_000;

/**
 * known: the server has answered. open: no token is needed, every scope is granted. stock: stock may be read. The others
 * are scopes. demo: it is the demo shop. shoppers: simulated shoppers run. problem: why the server did not answer.
 */
export const access = signal({
  known: false, open: false, stock: true, readInventory: false, writeInventory: false, readOrders: false, writeOrders: false, admin: false,
  demo: false, shoppers: false, problem: '',
});
/** All locations and channels. */
export const places = signal({ locations: [], channels: [] });

function toAccess({ data, errors }) {
  const lacks = new Set(errors.filter(({ extensions }) => refused.has(extensions?.code)).map(({ path, extensions }) => path?.[0] ?? extensions.code));
  const claims = scopesOf(token.value);
  const open = !token.value && !lacks.size;
  return {
    known: true,
    open,
    stock: data !== null && !lacks.has('shop'),
    readInventory: !lacks.has('stockMovements') && data !== null,
    readOrders: !lacks.has('reservations') && data !== null,
    admin: !lacks.has('operations') && data !== null,
    writeInventory: open || claims.has('write:inventory'),
    writeOrders: open || claims.has('write:orders'),
    demo: data?.shop?.demo ?? false,
    shoppers: data?.shop?.simulatedShoppers ?? false,
    problem: data === null ? errors[0].message : '',
  };
}

let asked = 0;

/** Asks what the caller may do. A server that does not answer is asked again, until it does. */
export async function askAccess() {
  const mine = (asked += 1);
  try {
    const answer = await send(accessQuery);
    if (mine !== asked) return; // with another token, or of another connection
    const failure = answer.data ? null : toError(answer.errors[0]);
    if (failure && passes(failure)) throw failure;
    if (answer.data) places.value = { locations: answer.data.locations ?? [], channels: answer.data.channels ?? [] };
    access.value = toAccess(answer);
    await measureClock();
  } catch (err) {
    if (mine !== asked) return;
    access.value = { ...access.peek(), problem: err.message };
    setTimeout(() => { if (mine === asked) askAccess(); }, err.retryAfterMs ?? retryMs);
  }
}
