// Onhand behind gateways, beside a catalogue: what docs/federation.md promises.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { schema } from '../federation/schema.js';
import { apolloGateway, hiveGateway } from './gateways.js';
import { bearer, cap, merchant, startShop } from './shop.js';

const patienceMs = 30_000;
const roundsMax = 50;
const known = Array.from({ length: 90 }, (_, i) => `FED-${i}`);
const unknown = Array.from({ length: 10 }, (_, i) => `only in the catalogue ${i}`);
const page = [...known, ...unknown].sort();

const pageQuery = `query($ids: [ID!]!) {
  products(ids: $ids) { id title tracked stock { quantityAvailable status } web: stock(channel: "web") { id quantityAvailable } }
}`;

describe('gateways', { timeout: 180_000 }, () => {
  let shop, gateways, recorder, onhand, setStock;

  /** The round trips to Redis until now. */
  const roundTrips = async () => {
    const text = await (await fetch(`${shop.admin}/metrics`)).text();
    const counts = [...text.matchAll(/^onhand_redis_round_trips_total(?:\{[^}]*\})? (\S+)$/gm)].map((found) => Number(found[1]));
    assert.ok(counts.length > 0, text);
    return counts.reduce((sum, n) => sum + n, 0);
  };

  before(async () => {
    shop = await startShop(known);
    ({ recorder, onhand, setStock } = shop);
    gateways = {
      apollo: await apolloGateway(shop.compose(schema('--federation', '--without-access'))),
      hive: await hiveGateway(shop.supergraph), 'hive with sockets': await hiveGateway(shop.supergraph, { socket: shop.url }),
    };
    await assert.rejects(apolloGateway(shop.supergraph), /authenticated/, 'this gateway does not know the directives of access');
  });
  after(async () => {
    for (const gateway of Object.values(gateways ?? {})) await gateway.stop();
    await shop?.stop();
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
