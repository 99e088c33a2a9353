// A page of another site, in a real browser: it tries to read, to write and to open a
// socket, and fails. With its origin in ALLOWED_ORIGINS it may.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { launch, noBrowser } from './browser.js';
import { freePort, startServer } from './server.js';
import { adjustStock, delivery, readStock } from './stock.js';

const productId = '84879';
// Both names lead to this machine, as a name does whose owner points it there.
const names = ['evil.example', 'rebind.example'];

/** Serves the page of another site. */
async function startSite() {
  const site = createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end('<!doctype html><title>another site</title><body>');
  });
  site.listen(await freePort(), '127.0.0.1');
  await once(site, 'listening');
  return site;
}

/** Tries, in the page, every way to reach the server. Returns what each way got. */
async function attack({ target, host, change }) {
  const json = { 'Content-Type': 'application/json' };
  const read = JSON.stringify({ query: '{ stock(productId: "84879") { quantityAvailable } }' });
  const readURL = `${target}/graphql?query=${encodeURIComponent('{ stock(productId: "84879") { quantityAvailable } }')}`;
  const watch = 'subscription { stockChanged(productIds: ["84879"]) { quantityAvailable } }';
  const text = async (url, options) => (await fetch(url, options)).text();
  const settled = (start) => new Promise((resolve) => { start(resolve); setTimeout(() => resolve('nothing'), 5_000); });
  const element = (tag, attributes) => settled((resolve) => {
    const added = Object.assign(document.createElement(tag), attributes);
    added.onload = () => resolve('loaded');
    added.onerror = () => resolve('refused');
    document.body.append(added);
  });
  const socket = (protocol) => settled((resolve) => {
    const opened = new WebSocket(`ws://${host}/graphql`, protocol);
    opened.onopen = () => opened.send('{"type":"connection_init"}');
    opened.onmessage = ({ data }) => resolve(data);
    opened.onclose = () => resolve('refused');
  });
  const ways = {
    fetch: () => text(`${target}/graphql`, { method: 'POST', headers: json, body: read }),
    get: () => text(readURL),
    // Without cors the browser hides the answer. Only the server can stop the change.
    textBody: () => text(`${target}/graphql`, { method: 'POST', mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body: change }),
    change: () => text(`${target}/graphql`, { method: 'POST', headers: json, body: change }),
    changeByGet: () => text(`${target}/graphql?query=${encodeURIComponent(JSON.parse(change).query)}&variables=${encodeURIComponent(JSON.stringify(JSON.parse(change).variables))}`, { mode: 'no-cors' }),
    beacon: async () => String(navigator.sendBeacon(`${target}/graphql`, new Blob([change], { type: 'text/plain' }))),
    events: () => settled((resolve) => {
      const source = new EventSource(`${target}/graphql?query=${encodeURIComponent(watch)}`);
      source.addEventListener('next', ({ data }) => { source.close(); resolve(data); });
      source.onerror = () => { source.close(); resolve('refused'); };
    }),
    socket: () => socket('graphql-transport-ws'),
    script: () => element('script', { src: readURL }),
    image: () => element('img', { src: `${target}/assets/icon.svg` }),
    health: () => text(`${target}/healthz`),
  };
  const got = {};
  for (const [name, way] of Object.entries(ways)) got[name] = await way().catch(() => 'refused');
  return got;
}

describe('a page of another site', { skip: noBrowser, timeout: 120_000 }, () => {
  let browser;
  let site;
  const servers = [];
  const start = async (env) => {
    const server = await startServer(env);
    servers.push(server);
    return server;
  };
  before(async () => {
    browser = await launch(names);
    site = await startSite();
  });
  after(async () => {
    await browser?.close();
    site?.close();
    for (const server of servers) await server.stop();
  });

  /** Opens the page of another site under a name, attacks, and returns what each way got and every status. */
  async function open(name, server, { asHost = new URL(server.url).host } = {}) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const statuses = new Set();
    page.on('response', (response) => { if (new URL(response.url()).host === asHost) statuses.add(response.status()); });
    await page.goto(`http://${name}:${site.address().port}/`);
    const { quantity, locationId } = await readStock(server.graphql, productId);
    const change = JSON.stringify({ query: adjustStock, variables: delivery(productId, locationId, 5) });
    const got = await page.evaluate(attack, { target: `http://${asHost}`, host: asHost, change });
    const changed = (await readStock(server.graphql, productId)).quantity - quantity;
    return { got, statuses, changed, context, page, change };
  }

  test('reads nothing, changes nothing, and opens no socket', async () => {
    const server = await start();
    const { got, statuses, changed, context, page, change } = await open('evil.example', server);
    const { textBody, changeByGet, beacon, ...readable } = got;
    for (const [way, answer] of Object.entries(readable)) assert.equal(answer, 'refused', way);
    assert.equal(textBody + changeByGet, '', 'the browser hides these answers');
    assert.equal(beacon, 'true', 'the browser sent it');
    assert.equal(changed, 0);
    assert.deepEqual([...statuses].filter((status) => status !== 403 && status !== 200), []);

    // A form, which leaves the page.
    const leave = async (path, how, argument) => {
      const answer = page.waitForResponse(server.url + path);
      const left = page.waitForURL(server.url + path);
      await page.evaluate(how, argument);
      await left;
      return (await answer).status();
    };
    assert.equal(await leave('/graphql', ({ target, body }) => {
      const form = Object.assign(document.createElement('form'), { method: 'POST', action: target, enctype: 'text/plain' });
      form.append(Object.assign(document.createElement('input'), { name: body.slice(0, -1), value: '}' }));
      document.body.append(form);
      form.submit();
    }, { target: `${server.url}/graphql`, body: change }), 403);

    // A link to the API is refused; one to a page is followed; a frame of one is not shown.
    const follow = async (path) => {
      await page.goto(`http://evil.example:${site.address().port}/`);
      return leave(path, (url) => { location.href = url; }, server.url + path);
    };
    assert.equal(await follow('/graphql?query=%7B__typename%7D'), 403);
    assert.equal(await follow('/playground'), 200);
    await page.goto(`http://evil.example:${site.address().port}/`);
    const framed = page.waitForResponse(`${server.url}/playground`);
    await page.evaluate((url) => { document.body.append(Object.assign(document.createElement('iframe'), { src: url })); }, `${server.url}/playground`);
    assert.equal((await framed).status(), 403);
    await context.close();
  });

  test('is refused under a name that was pointed to this machine (DNS rebinding)', async () => {
    const server = await start();
    const { host, port } = new URL(server.url);
    const rebound = `rebind.example:${port}`;
    const context = await browser.newContext();
    const page = await context.newPage();
    for (const path of ['/', '/playground', '/graphql?query=%7B__typename%7D']) {
      assert.equal((await page.goto(`http://${rebound}${path}`)).status(), 403, path);
    }
    // The page and the API have one origin now: no header of the browser tells them apart from Onhand's own.
    const { quantity, locationId } = await readStock(server.graphql, productId);
    const change = JSON.stringify({ query: adjustStock, variables: delivery(productId, locationId, 5) });
    const got = await page.evaluate(attack, { target: `http://${rebound}`, host: rebound, change });
    for (const [way, answer] of Object.entries(got)) {
      if (['beacon', 'health'].includes(way)) continue;
      assert.match(answer, /^refused$|does not answer to this host name/, way);
    }
    assert.equal((await readStock(server.graphql, productId)).quantity, quantity);
    assert.notEqual(host, rebound);
    await context.close();
  });

  test('may do all of it from an allowed origin', async () => {
    const server = await start({ ALLOWED_ORIGINS: `http://evil.example:${site.address().port}` });
    const { got, changed, context } = await open('evil.example', server);
    assert.match(got.fetch, /"quantityAvailable":\d+/);
    assert.match(got.get, /"quantityAvailable":\d+/);
    assert.match(got.change, /"errors":\[\]/);
    assert.match(got.events, /"stockChanged"/);
    assert.match(got.socket, /connection_ack/);
    assert.equal(changed, 5, 'by fetch, and not by a body that a form can send nor by GET');
    await context.close();
  });
});
