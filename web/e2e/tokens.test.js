// A server that checks bearer tokens, in a real browser: the playground, and graphql-ws as docs/clients.md has it.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { launch, noBrowser, openPage } from './browser.js';
import { startServer } from './server.js';

const secret = 'a secret of tests: 32 bytes at least';
const leewaySeconds = 30;
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token that the server accepts for so many seconds, its leeway included. */
function newToken(scope, seconds = 3600) {
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: 'tester', scope, exp: Math.ceil(Date.now() / 1000) + seconds - leewaySeconds })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

describe('bearer tokens', { timeout: 120_000 }, () => {
  let server;
  before(async () => { server = await startServer({ AUTH_SECRET: secret, PLAYGROUND: 'on' }); });
  after(async () => { await server?.stop(); });

  test('playground: a token in the headers pane counts for a subscription', { skip: noBrowser }, async () => {
    const browser = await launch();
    const { page, close } = await openPage(browser, `${server.url}/playground`);
    await page.getByRole('tab', { name: 'LiveStock' }).click();
    await page.waitForFunction(() => localStorage.getItem('onhand:graphiql:operationName') === 'LiveStock');
    const run = page.getByRole('button', { name: /execute query/i });
    const result = page.locator('.result-window');
    await run.click();
    await result.filter({ hasText: 'sign in first; this needs scope read:inventory' }).waitFor();
    await page.getByRole('button', { name: /stop query/i }).click();

    await page.getByRole('button', { name: 'Headers' }).click();
    await page.evaluate((headers) => {
      // GraphiQL keeps the other editor outside the window.
      document.querySelector('.graphiql-editor-tool .graphiql-editor:not(.hidden) .CodeMirror').CodeMirror.setValue(headers);
    }, JSON.stringify({ Authorization: `Bearer ${newToken('read:inventory admin')}` }));
    await page.waitForTimeout(500); // GraphiQL reads an editor shortly after it changed
    await run.click();
    await result.filter({ hasText: /"reserved": \d+/ }).waitFor();
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('Bearer')), false, 'a token is not stored');
    await close();
    await browser.close();
  });

  test('graphql-ws: a client with a function for its token goes on with a new one, and misses nothing', async () => {
    let connections = 0;
    const socket = createClient({
      url: `${server.url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: Infinity,
      retryWait: async () => {},
      shouldRetry: () => true,
      connectionParams: () => {
        connections += 1;
        return { authorization: `Bearer ${newToken('read:inventory', connections === 1 ? 3 : 3600)}` };
      },
    });
    const quantities = [];
    const events = socket.iterate({ query: 'subscription { stockChanged(productIds: ["22423"]) { quantityAvailable onHand } }' });
    for await (const { data, errors } of events) {
      assert.equal(errors, undefined);
      quantities.push(data.stockChanged.onHand);
      if (connections === 2) break; // the first event after the old token has ended
    }
    assert.deepEqual(quantities, [quantities[0], quantities[0]]);
    await socket.dispose();
  });
});
