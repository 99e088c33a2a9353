// What the caller may do, and what the page must say about the server.
import { signal } from '@preact/signals';
import { accessQuery } from './documents.js';
import { measureClock } from './clock.js';
import { send } from './http.js';
import { scopesOf, token } from './token.js';

const refused = new Set(['UNAUTHENTICATED', 'FORBIDDEN']);

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

/** Asks what the caller may do. A server that does not answer is asked again after the next connection. */
export async function askAccess() {
  try {
    const answer = await send(accessQuery);
    if (answer.data) places.value = { locations: answer.data.locations ?? [], channels: answer.data.channels ?? [] };
    access.value = toAccess(answer);
    await measureClock();
  } catch (err) {
    access.value = { ...access.peek(), problem: err.message };
  }
}
