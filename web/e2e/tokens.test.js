// A server that checks bearer tokens, in a real browser: the playground, and graphql-ws as docs/clients.md has it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { launch, noBrowser, openPage } from './browser.js';
import { startServer } from './server.js';
import { newToken, secret } from './tokens.js';

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
    await page.getByRole('button', { name: /stop query/i }).click();

    // The token field counts for every tab, for the schema too, and is not stored.
    const second = await openPage(browser, `${server.url}/playground`);
    const token = newToken('read:inventory admin');
    await second.page.getByLabel('Bearer token').fill(token);
    await second.page.keyboard.press('Tab');
    await second.page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
    await second.page.locator('.graphiql-doc-explorer a', { hasText: /^Query$/ }).click();
    await second.page.locator('.graphiql-doc-explorer', { hasText: 'All reads.' }).waitFor(); // with the schema's descriptions
    await second.page.getByRole('tab', { name: 'LiveStock' }).click();
    await second.page.waitForFunction(() => localStorage.getItem('onhand:graphiql:operationName') === 'LiveStock');
    await second.page.getByRole('button', { name: /execute query/i }).click();
    await second.page.locator('.result-window').filter({ hasText: /"reserved": \d+/ }).waitFor();
    assert.equal(await second.page.evaluate((part) => JSON.stringify(localStorage).includes(part), token.split('.')[1]), false);
    await second.close();
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
