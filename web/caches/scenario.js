// One scenario for every cache: a page shows two views of one product, all locations and one channel, while both are pushed.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { buildSchema, introspectionFromSchema } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { adjustStock, delivery } from '../e2e/stock.js';
import { keepNewest } from './newest.js';

const channel = 'brighton'; // of the one location brighton-shop
const limitMs = 20_000;

/** Waits until a condition is true. */
async function until(what, condition) {
  const deadline = Date.now() + limitMs;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `in time: ${what}`);
    await pause(5);
  }
}

/** A fetch whose answers can be held back: hold() makes later answers wait for release(). */
function slowFetch() {
  let released = Promise.resolve();
  let waiting = 0;
  const slow = async (...request) => {
    const answer = await fetch(...request);
    const body = await answer.text();
    waiting++;
    await released;
    waiting--;
    return new Response(body, { status: answer.status, headers: answer.headers });
  };
  const hold = () => {
    let release;
    released = new Promise((done) => { release = done; });
    return release;
  };
  return { fetch: slow, hold, waiting: () => waiting };
}

/** Records what a page shows of one view, and checks that nothing in it goes back. */
function shown(name) {
  const values = [];
  const versions = new Map();
  const show = (stock) => {
    if (!stock) return;
    for (const object of [stock, stock.product, ...stock.levels]) {
      assert.ok(object.version >= (versions.get(object.id) ?? 0), `${name}: ${object.id} went back from ${versions.get(object.id)} to ${object.version}`);
      versions.set(object.id, object.version);
    }
    values.push(stock);
  };
  return { show, last: () => values.at(-1), values };
}

/**
 * connect({ url, socket, fetch, order, schema }) returns a client:
 *   show(variables, show)     reads a view, and shows it whenever the cache has another one
 *   read(variables)           reads a view again from the network
 *   watch(variables)          subscribes to a view
 *   watchStatus(variables, next)
 *   stop()
 */
export async function keepsViewsApart(t, server, connect, product) {
  const socket = createClient({ url: `${server.url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket });
  t.after(() => socket.dispose());
  const slow = slowFetch();
  const schema = introspectionFromSchema(buildSchema(await (await fetch(`${server.url}/schema.graphql`)).text()));
  const { order, forgetAfterReconnect } = keepNewest();
  forgetAfterReconnect(socket);
  const client = connect({ url: `${server.url}/graphql`, socket, fetch: slow.fetch, order, schema });
  t.after(client.stop);

  const all = { ...shown('all'), variables: { id: product } };
  const one = { ...shown('channel'), variables: { id: product, channel } };
  const failed = [];
  const changes = [];
  for (const view of [all, one]) {
    client.show(view.variables, (stock) => { try { view.show(stock); } catch (err) { failed.push(err); } });
    await until('a view is shown', () => view.last());
  }
  const start = { all: all.last(), one: one.last() };
  assert.notEqual(start.all.id, start.one.id);
  assert.ok(start.all.quantityAvailable > start.one.quantityAvailable);
  assert.equal(start.one.levels.length, 1);
  assert.ok(start.all.levels.some(({ id }) => id === start.one.levels[0].id), 'a level is one object in both');

  client.watch(all.variables);
  client.watch(one.variables);
  client.watchStatus({ id: product }, (change) => changes.push(change));
  const adjust = async (locationId, delta) => {
    const { adjustStock: answer } = await server.graphql(adjustStock, delivery(product, locationId, delta));
    assert.deepEqual(answer.errors, []);
  };

  // Two answers are late: they say what was true before the changes.
  const release = slow.hold();
  const late = [client.read(all.variables), client.read(one.variables)];
  await until('both answers are on their way', () => slow.waiting() === 2);
  for (let i = 0; i < 10; i++) {
    await adjust('brighton-shop', 1);
    await adjust('london', 2);
  }
  const arrived = () => all.last().quantityAvailable === start.all.quantityAvailable + 30
    && one.last().quantityAvailable === start.one.quantityAvailable + 10;
  await until('the pushes', arrived);
  release();
  await Promise.all(late);
  await pause(100); // what a late answer changes is shown by now
  assert.ok(arrived(), `after the late answers: ${all.last().quantityAvailable} and ${one.last().quantityAvailable}`);

  // A status change describes one moment and does not replace the stock.
  const sold = all.last().levels.map(({ location, available }) => [location.name, available]);
  const { locations } = await server.graphql('{ locations { locationId name } }');
  const idOf = (place) => locations.find((location) => location.name === place).locationId;
  for (const [place, units] of sold) if (units > 0) await adjust(idOf(place), -units);
  for (const [place, units] of sold) if (units > 0) await adjust(idOf(place), units);
  await until('both changes of the status', () => changes.length >= 2);
  await until('the stock is back', arrived);
  assert.ok(changes.some(({ status }) => status === 'OUT_OF_STOCK'));
  assert.equal(all.last().status, 'IN_STOCK');

  await client.read(all.variables);
  await client.read(one.variables);
  await pause(50);
  assert.ok(arrived());
  assert.deepEqual(failed, []);
  for (const view of [all, one]) {
    assert.ok(view.values.length > 2, 'the pushes were shown');
    assert.ok(view.values.every(({ id }) => id === view.values[0].id), 'one view has one id');
  }
}
