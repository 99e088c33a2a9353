// Onhand behind gateways, beside a catalogue: the servers of the tests.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { freePort, startServer } from '../e2e/server.js';
import { startCatalogue, typeDefs } from './catalogue.js';
import { startRecorder } from './recorder.js';

const secret = 'a secret of tests: 32 bytes at least';
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The largest quantity that a caller without a scope sees. */
export const cap = 5;

/** The header of a caller with these scopes. */
export function bearer(subject, scope = '', seconds = 3600) {
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: subject, scope, exp: Math.ceil(Date.now() / 1000) + seconds })}`;
  return `Bearer ${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

export const merchant = bearer('merchant', 'read:inventory write:inventory');

/**
 * Starts Onhand with 40 units of each product, a catalogue, and a recorder between Onhand and its gateways. Returns url (of
 * Onhand), admin, recorder, supergraph, compose(subgraph), onhand(query, variables, authorization), setStock(productIds,
 * quantity) and stop(). settings are more settings of Onhand, and headers go with each call of onhand().
 */
export async function startShop(productIds, settings = {}, headers = {}) {
  const adminAddress = `127.0.0.1:${await freePort()}`;
  const server = await startServer({
    AUTH_SECRET: secret, QUANTITY_CAP: String(cap), ADMIN_ADDR: adminAddress, NEAR_CACHE_BYTES: process.env.NEAR_CACHE_BYTES ?? '67108864', ...settings,
  });
  const catalogue = await startCatalogue();
  const recorder = await startRecorder(`${server.url}/graphql`);
  const stop = async () => {
    recorder.stop();
    catalogue.stop();
    await server.stop();
  };

  const onhand = async (query, variables, authorization = merchant) => {
    const answer = await fetch(`${server.url}/graphql`, {
      method: 'POST', headers: { 'Content-Type': 'application/json', authorization, ...headers }, body: JSON.stringify({ query, variables }),
    });
    return answer.json();
  };
  const setStock = async (ids, quantity) => {
    const { data, errors } = await onhand(
      `mutation($rows: [SetStockRow!]!) { setStock(input: {idempotencyKey: "${crypto.randomUUID()}", reason: CYCLE_COUNT, rows: $rows}) { errors { message } } }`,
      { rows: [ids].flat().map((id) => ({ productId: id, locationId: 'london', quantity, ignoreStale: true })) },
    );
    assert.deepEqual([errors, data?.setStock.errors], [undefined, []]);
  };
  const compose = (text) => {
    const composed = composeServices([
      { name: 'onhand', url: recorder.url, typeDefs: parse(text) }, { name: 'catalogue', url: catalogue.url, typeDefs },
    ]);
    assert.equal(composed.errors, undefined);
    return composed.supergraphSdl;
  };

  try {
    const { data, errors } = await onhand(
      `mutation($rows: [UpsertProductRow!]!) { upsertProducts(input: {idempotencyKey: "products of the gateway's test", rows: $rows}) { errors { message } } }`,
      { rows: productIds.map((productId) => ({ productId })) },
    );
    assert.deepEqual([errors, data?.upsertProducts.errors], [undefined, []]);
    await setStock(productIds, 40);
    // docs/federation.md: the subgraph of a server
    const answer = await fetch(`${server.url}/graphql`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query: '{ _service { sdl } }' }),
    });
    const subgraph = (await answer.json()).data._service.sdl;
    // end
    return { url: `${server.url}/graphql`, admin: `http://${adminAddress}`, recorder, supergraph: compose(subgraph), compose, onhand, setStock, stop };
  } catch (err) {
    await stop();
    throw err;
  }
}
