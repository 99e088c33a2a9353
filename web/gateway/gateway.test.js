// Onhand behind gateways, beside a catalogue: what docs/federation.md promises.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { freePort, startServer } from '../e2e/server.js';
import { schema } from '../federation/schema.js';
import { startCatalogue, typeDefs } from './catalogue.js';
import { apolloGateway, hiveGateway } from './gateways.js';
import { startRecorder } from './recorder.js';

const secret = 'a secret of tests: 32 bytes at least';
const cap = 5;
const patienceMs = 30_000;
const roundsMax = 50;
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The header of a caller with these scopes. */
function bearer(subject, scope = '') {
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: subject, scope, exp: Math.ceil(Date.now() / 1000) + 3600 })}`;
  return `Bearer ${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

const merchant = bearer('merchant', 'read:inventory write:inventory');
const known = Array.from({ length: 90 }, (_, i) => `FED-${i}`);
const unknown = Array.from({ length: 10 }, (_, i) => `only in the catalogue ${i}`);
const page = [...known, ...unknown].sort();

const pageQuery = `query($ids: [ID!]!) {
  products(ids: $ids) { id title tracked stock { quantityAvailable status } web: stock(channel: "web") { id quantityAvailable } }
}`;

describe('gateways', { timeout: 180_000 }, () => {
  let server, admin, catalogue, recorder, gateways;

  /** Sends a request to Onhand itself. */
  const onhand = async (query, variables, authorization = merchant) => {
    const answer = await fetch(`${server.url}/graphql`, {
      method: 'POST', headers: { 'Content-Type': 'application/json', authorization }, body: JSON.stringify({ query, variables }),
    });
    return answer.json();
  };
  /** The round trips to Redis until now. */
  const roundTrips = async () => {
    const text = await (await fetch(`${admin}/metrics`)).text();
    const counts = [...text.matchAll(/^onhand_redis_round_trips_total(?:\{[^}]*\})? (\S+)$/gm)].map((found) => Number(found[1]));
    assert.ok(counts.length > 0, text);
    return counts.reduce((sum, n) => sum + n, 0);
  };
  const setStock = async (productId, quantity) => {
    const { data, errors } = await onhand(
      `mutation($rows: [SetStockRow!]!) { setStock(input: {idempotencyKey: "${crypto.randomUUID()}", reason: CYCLE_COUNT, rows: $rows}) { errors { message } } }`,
      { rows: [productId].flat().map((id) => ({ productId: id, locationId: 'london', quantity, ignoreStale: true })) },
    );
    assert.deepEqual([errors, data?.setStock.errors], [undefined, []]);
  };

  before(async () => {
    const adminAddress = `127.0.0.1:${await freePort()}`;
    admin = `http://${adminAddress}`;
    server = await startServer({ AUTH_SECRET: secret, QUANTITY_CAP: String(cap), ADMIN_ADDR: adminAddress, NEAR_CACHE_BYTES: process.env.NEAR_CACHE_BYTES ?? '67108864' });
    const { data, errors } = await onhand(
      `mutation($rows: [UpsertProductRow!]!) { upsertProducts(input: {idempotencyKey: "products of the gateway's test", rows: $rows}) { errors { message } } }`,
      { rows: known.map((productId) => ({ productId })) },
    );
    assert.deepEqual([errors, data?.upsertProducts.errors], [undefined, []]);
    await setStock(known, 40);
    catalogue = await startCatalogue();
    recorder = await startRecorder(`${server.url}/graphql`);
    // docs/federation.md: the subgraph of a server
    const answer = await fetch(`${server.url}/graphql`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query: '{ _service { sdl } }' }),
    });
    const subgraph = (await answer.json()).data._service.sdl;
    // end
    const compose = (text) => {
      const composed = composeServices([
        { name: 'onhand', url: recorder.url, typeDefs: parse(text) }, { name: 'catalogue', url: catalogue.url, typeDefs },
      ]);
      assert.equal(composed.errors, undefined);
      return composed.supergraphSdl;
    };
    const supergraph = compose(subgraph);
    gateways = {
      apollo: await apolloGateway(compose(schema('--federation', '--without-access'))),
      hive: await hiveGateway(supergraph), 'hive with sockets': await hiveGateway(supergraph, `${server.url}/graphql`),
    };
    await assert.rejects(apolloGateway(supergraph), /authenticated/, 'this gateway does not know the directives of access');
  });
  after(async () => {
    for (const gateway of Object.values(gateways ?? {})) await gateway.stop();
    recorder?.stop();
    catalogue?.stop();
    await server?.stop();
  });

  for (const name of ['apollo', 'hive']) {
    test(`${name}: 100 products of a catalogue with their stock are one request, and at most one round trip to Redis`, async () => {
      const { query } = gateways[name];
      let least = Infinity; // the server's own work has round trips too, now and then
      for (let round = 0; round < roundsMax && least > 1; round += 1) {
        recorder.requests.length = 0;
        const earlier = await roundTrips();
        const { data, errors } = await query(pageQuery, { ids: page });
        if (round > 0) least = Math.min(least, (await roundTrips()) - earlier); // the first fills the caches
        assert.equal(errors, undefined);
        assert.deepEqual(data.products.map((product) => [product.id, product.title]), page.map((id) => [id, `Title of ${id}`]));
        for (const product of data.products) {
          if (unknown.includes(product.id)) assert.deepEqual([product.stock, product.web, product.tracked], [null, null, null]);
          else assert.deepEqual([product.stock.quantityAvailable, product.web.quantityAvailable, product.tracked], [cap, cap, true]);
        }
        assert.equal(recorder.requests.length, 1);
        assert.match(recorder.requests[0].query, /_entities/);
        const sent = Object.values(recorder.requests[0].variables).find(Array.isArray);
        assert.deepEqual(sent.map((representation) => representation.id).sort(), page);
      }
      assert.ok(least <= 1, `${least} round trips`);
    });

    test(`${name}: the token of the shopper decides, and the gateway has none`, async () => {
      const { query } = gateways[name];
      const source = 'query($ids: [ID!]!) { products(ids: $ids) { id stock { quantityAvailable reserved } } }';
      for (const [authorization, quantity, codes] of [
        [undefined, cap, ['UNAUTHENTICATED']], [bearer('alice'), cap, ['FORBIDDEN']], [merchant, 40, []], [undefined, cap, ['UNAUTHENTICATED']],
      ]) {
        const { data, errors = [] } = await query(source, { ids: ['FED-1'] }, authorization);
        assert.equal(data.products[0].stock.quantityAvailable, quantity);
        assert.equal(data.products[0].stock.reserved === null, codes.length > 0);
        assert.deepEqual(errors.map((error) => error.extensions.code), codes);
        assert.equal(recorder.requests.at(-1).authorization, authorization);
      }
    });

    test(`${name}: an error below one entity is that of the entity, and a refusal of a write is data`, async () => {
      const { query } = gateways[name];
      const { data, errors } = await query(
        'query($ids: [ID!]!) { products(ids: $ids) { title stock { status } nowhere: stock(channel: "nowhere") { status } } }', { ids: ['FED-2', unknown[0], 'FED-3'] },
      );
      assert.deepEqual(data.products.map((product) => [product.title, product.stock?.status, product.nowhere]), [
        ['Title of FED-2', 'IN_STOCK', null], [`Title of ${unknown[0]}`, undefined, null], ['Title of FED-3', 'IN_STOCK', null],
      ]);
      assert.ok(errors.length > 0);
      assert.deepEqual([...new Set(errors.map((error) => error.extensions.code))], ['BAD_USER_INPUT']);
      const answer = await query(`mutation { reserveStock(input: {idempotencyKey: "${crypto.randomUUID()}", lines: [{productId: "FED-4", quantity: 41}]}) {
        reservation { id } errors { code message ... on InsufficientStockError { requested available } } } }`);
      const shortage = answer.data.reserveStock.errors.find(({ code }) => code === 'INSUFFICIENT_STOCK');
      assert.deepEqual([shortage.requested, shortage.available], [41, cap]);
    });

    test(`${name}: a view of a channel is the same view by its id`, async () => {
      const { query } = gateways[name];
      const { data } = await query('query { products(ids: ["FED-5"]) { web: stock(channel: "web") { id version product { title } } all: stock { id } } }');
      const [{ web, all }] = data.products;
      assert.notEqual(web.id, all.id);
      assert.equal(web.product.title, 'Title of FED-5');
      const again = await onhand('query($r: [_Any!]!) { _entities(representations: $r) { ... on Stock { id version } } }', { r: [{ __typename: 'Stock', id: web.id }, { __typename: 'Stock', id: all.id }] });
      assert.deepEqual(again.data._entities.map((stock) => stock.id), [web.id, all.id]);
      assert.equal(again.data._entities[0].version, web.version);
    });
  }

  test('hive: a change reaches the subscriber of the gateway, with the title of the catalogue, over an event stream and a WebSocket', async () => {
    for (const name of ['hive', 'hive with sockets']) {
      const { url } = gateways[name];
      recorder.requests.length = 0;
      const productId = name === 'hive' ? 'FED-6' : 'FED-7';
      for (const [authorization, quantity] of [[undefined, (n) => Math.min(n, cap)], [merchant, (n) => n]]) {
        const abort = AbortSignal.timeout(patienceMs);
        const answer = await fetch(url, {
          method: 'POST', signal: abort,
          headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream', ...(authorization && { authorization }) },
          body: JSON.stringify({ query: `subscription { stockChanged(productIds: ["${productId}"]) { quantityAvailable product { id title } } }` }),
        });
        assert.equal(answer.status, 200);
        const events = eventsOf(answer.body);
        const first = await events.next();
        assert.deepEqual(first.value.data?.stockChanged.product, { id: productId, title: `Title of ${productId}` }, JSON.stringify(first.value));
        for (const n of [3, 2, 30]) {
          if (quantity(n) === first.value.data.stockChanged.quantityAvailable) continue;
          await setStock(productId, n);
          const { value } = await events.next();
          assert.equal(value.data.stockChanged.quantityAvailable, quantity(n), name);
        }
        await events.return();
      }
      assert.equal(recorder.requests.some(({ method }) => method === 'GET'), name === 'hive', 'sockets go past the recorder');
    }
  });
});

/** The results in a stream of events. */
async function* eventsOf(body) {
  let text = '';
  for await (const chunk of body) {
    text += Buffer.from(chunk).toString();
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = text.slice(0, end).split('\n').find((line) => line.startsWith('data:'));
      text = text.slice(end + 2);
      if (data && data.length > 6) yield JSON.parse(data.slice(5));
    }
  }
}
