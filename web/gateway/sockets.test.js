// A client's WebSocket to a gateway, whose subscriptions go on to Onhand: what docs/federation.md promises.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { hiveGateway } from './gateways.js';
import { bearer, cap, merchant, startShop } from './shop.js';

const patienceMs = 30_000;
const refusalMs = 5_000; // a refused token is not tried again: that would take half a minute
const retriesMax = 100;
const leewaySeconds = 30; // Onhand accepts a token so long after its end
const watchedSeconds = 10; // how long a token lives that ends while its client watches: its first event comes before, on a loaded machine too
const ids = Array.from({ length: 8 }, (_, i) => `SOCKET-${i}`);

const watchQuery = 'subscription($ids: [ID!]!) { stockChanged(productIds: $ids) { version quantityAvailable product { id title } } }';

/** A client of graphql-ws, whose connection_init has this token. */
function clientOf(gateway, authorization) {
  return createClient({
    url: gateway.url.replace('http', 'ws'), webSocketImpl: WebSocket, lazyCloseTimeout: 0,
    connectionParams: authorization && { authorization },
    retryAttempts: retriesMax, retryWait: () => pause(50), shouldRetry: () => true,
  });
}

/** Watches products. next() is the next event; it fails after a while. */
function watch(client, productIds) {
  const events = client.iterate({ query: watchQuery, variables: { ids: productIds } });
  const next = async () => {
    const late = new AbortController();
    const event = await Promise.race([
      events.next(),
      pause(patienceMs, undefined, { signal: late.signal }).then(() => { throw new Error('no event'); }),
    ]);
    late.abort();
    assert.equal(event.done, false);
    return event.value;
  };
  return { next, end: () => events.return() };
}

for (const upstream of ['an event stream', 'a WebSocket']) {
  describe(`a client over a WebSocket, its gateway over ${upstream}`, { timeout: 300_000 }, () => {
    let shop, gateway;
    const start = async (port) => { gateway = await hiveGateway(shop.supergraph, { socket: upstream === 'a WebSocket' ? shop.url : undefined, port }); };
    /** How many streams gateways have open at Onhand. */
    const upstreams = async () => {
      const text = await (await fetch(`${shop.admin}/metrics`)).text();
      return [...text.matchAll(/^onhand_requests_open\{transport="(?:sse|websocket)"\} (\d+)$/gm)].reduce((sum, found) => sum + Number(found[1]), 0);
    };
    const untilUpstreams = async (n) => {
      for (const late = Date.now() + patienceMs; await upstreams() !== n; await pause(20)) assert.ok(Date.now() < late, `${await upstreams()} streams`);
    };

    before(async () => {
      shop = await startShop(ids);
      await start();
    });
    after(async () => {
      await gateway?.stop();
      await shop?.stop();
    });

    test('a change in Onhand reaches the client with the title of the catalogue, in one event', async () => {
      const client = clientOf(gateway, merchant);
      const { next, end } = watch(client, [ids[0], ids[1]]);
      const first = [await next(), await next()].map(({ data, errors }) => {
        assert.equal(errors, undefined);
        return data.stockChanged.product;
      });
      assert.deepEqual(first.sort((a, b) => a.id.localeCompare(b.id)), [ids[0], ids[1]].map((id) => ({ id, title: `Title of ${id}` })));
      let version = 0;
      for (const quantity of [7, 70, 700]) {
        await shop.setStock(ids[1], quantity);
        const { data, errors } = await next();
        assert.equal(errors, undefined);
        assert.deepEqual([data.stockChanged.quantityAvailable, data.stockChanged.product], [quantity, { id: ids[1], title: `Title of ${ids[1]}` }]);
        assert.ok(data.stockChanged.version > version);
        version = data.stockChanged.version;
      }
      await end();
      await client.dispose();
      await untilUpstreams(0);
    });

    test('the token in connection_init decides, client by client', async () => {
      const seen = {};
      const clients = { stranger: clientOf(gateway), shopper: clientOf(gateway, bearer('alice')), merchant: clientOf(gateway, merchant) };
      const watches = Object.entries(clients).map(([name, client]) => [name, watch(client, [ids[2]])]);
      for (const [name, { next }] of watches) seen[name] = (await next()).data.stockChanged.quantityAvailable;
      assert.deepEqual(seen, { stranger: cap, shopper: cap, merchant: 40 });
      await shop.setStock(ids[2], 3);
      for (const [name, { next }] of watches) seen[name] = (await next()).data.stockChanged.quantityAvailable;
      assert.deepEqual(seen, { stranger: 3, shopper: 3, merchant: 3 });
      for (const [, { end }] of watches) await end();
      for (const client of Object.values(clients)) await client.dispose();
      await untilUpstreams(0);
    });

    test('a token that Onhand refuses gets an error and no stock', async () => {
      for (let round = 0; round < 2; round += 1) {
        const client = clientOf(gateway, bearer('alice', '', -3600));
        const began = Date.now();
        const { data, errors } = await watch(client, [ids[3]]).next();
        assert.equal(data?.stockChanged ?? null, null);
        assert.deepEqual(errors.map(({ extensions }) => extensions?.code), ['UNAUTHENTICATED'], JSON.stringify(errors));
        assert.ok(Date.now() - began < refusalMs, `${Date.now() - began} ms`);
        await client.dispose();
      }
      await untilUpstreams(0);
    });

    test('a token that ends while its client watches', async () => {
      const client = clientOf(gateway, bearer('alice', '', watchedSeconds - leewaySeconds));
      const { next } = watch(client, [ids[5]]);
      assert.equal((await next()).data.stockChanged.quantityAvailable, cap);
      const { data, errors } = await next();
      assert.equal(data?.stockChanged ?? null, null);
      assert.deepEqual(errors.map(({ extensions }) => extensions?.code), ['UNAUTHENTICATED'], JSON.stringify(errors));
      await client.dispose();
      await untilUpstreams(0);
    });

    test('a gateway that is restarted: the client gets the current stock, and later changes', async () => {
      const client = clientOf(gateway, merchant);
      const { next, end } = watch(client, [ids[4]]);
      assert.equal((await next()).data.stockChanged.quantityAvailable, 40);
      await gateway.stop();
      await untilUpstreams(0);
      await shop.setStock(ids[4], 11);
      await start(gateway.port);
      const { data } = await next();
      assert.deepEqual([data.stockChanged.quantityAvailable, data.stockChanged.product.title], [11, `Title of ${ids[4]}`]);
      await shop.setStock(ids[4], 12);
      assert.equal((await next()).data.stockChanged.quantityAvailable, 12);
      await end();
      await client.dispose();
      await untilUpstreams(0);
    });
  });
}
