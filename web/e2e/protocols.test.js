// The protocols that client programs use: HTTP, graphql-transport-ws, server-sent events.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { startServer } from './server.js';
import { adjustStock, delivery, readStock, watchStock } from './stock.js';

const limit = { timeout: 30_000 };
let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

test('graphql-ws client: query, subscription, mutation, the change arrives, normal close', limit, async () => {
  let socket;
  class Socket extends WebSocket {
    constructor(...parameters) {
      super(...parameters);
      socket = this;
    }
  }
  const client = createClient({ url: `${server.url.replace('http', 'ws')}/graphql`, webSocketImpl: Socket, retryAttempts: 0, lazyCloseTimeout: 5_000 });
  const ask = async (request) => (await client.iterate(request).next()).value;

  const start = await readStock(server.graphql, '84879');
  const read = await ask({ query: '{ stock(productId: "84879") { quantityAvailable } }' });
  assert.equal(read.errors, undefined);
  assert.equal(read.data.stock.quantityAvailable, start.quantity);

  const changes = client.iterate({ query: watchStock, variables: { id: '84879' } });
  const first = (await changes.next()).value.data.stockChanged;
  assert.equal(first.quantityAvailable, start.quantity);

  const written = await ask({ query: adjustStock, variables: delivery('84879', start.locationId, 7) });
  assert.deepEqual(written.data.adjustStock.errors, []);

  const second = (await changes.next()).value.data.stockChanged;
  assert.equal(second.quantityAvailable, start.quantity + 7);
  assert.ok(second.version > first.version, 'versions only grow');

  await changes.return();
  const closed = once(socket, 'close');
  await client.dispose();
  const [code] = await closed;
  assert.equal(code, 1000);
});

/** Reads the events of a stream, one {event, data} at a time. Ignores comments (keep-alive). */
async function* events(body) {
  let rest = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split(/\r?\n/).filter((line) => line && !line.startsWith(':'));
      if (!lines.length) continue;
      const field = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim()).join('\n');
      const data = field('data');
      yield { event: field('event'), data: data ? JSON.parse(data) : null };
    }
  }
}

test('server-sent events: subscription, mutation, the change arrives, the client leaves', limit, async () => {
  const start = await readStock(server.graphql, '47566');
  const abort = new AbortController();
  const answer = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { Accept: 'text/event-stream', 'Content-Type': 'application/json' },
    body: JSON.stringify({ query: watchStock, variables: { id: '47566' } }),
    signal: abort.signal,
  });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type'), /^text\/event-stream/);

  const stream = events(answer.body);
  const first = (await stream.next()).value;
  assert.equal(first.event, 'next');
  assert.equal(first.data.data.stockChanged.quantityAvailable, start.quantity);

  const { adjustStock: written } = await server.graphql(adjustStock, delivery('47566', start.locationId, 5));
  assert.deepEqual(written.errors, []);

  const second = (await stream.next()).value.data.data.stockChanged;
  assert.equal(second.quantityAvailable, start.quantity + 5);
  assert.ok(second.version > first.data.data.stockChanged.version, 'versions only grow');

  abort.abort();
  await assert.rejects(stream.next(), { name: 'AbortError' });
  assert.equal((await readStock(server.graphql, '47566')).quantity, start.quantity + 5, 'the server continues');
});
