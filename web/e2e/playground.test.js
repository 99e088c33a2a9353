// The playground, in a real browser that can reach this machine only.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, noBrowser, openPage, screenshot } from './browser.js';
import { startServer } from './server.js';
import { adjustStock, delivery, readStock } from './stock.js';

if (noBrowser) console.log(`skipped: ${noBrowser}`);

// What the tabs are for, in their order: each is named for its first operation.
const jobs = [
  'ProductList', 'ProductPage', 'LiveStock', 'Reserve', 'PlaceOrder', 'Adjust', 'Catalogue', 'Count', 'History',
  'ChangeCart', 'OrderAndShip', 'LowStock', 'OverTime', 'Places', 'Operations',
];

describe('playground', { skip: noBrowser, timeout: 120_000 }, () => {
  let server;
  let browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test('samples in tabs, a live subscription, no request to another host', async () => {
    const start = await readStock(server.graphql, '85123A');
    const { page, outsideRequests, pageErrors, close } = await openPage(browser, `${server.url}/playground`);
    await page.getByRole('tab', { name: 'LiveStock' }).click();
    const tabs = await page.getByRole('tab').allInnerTexts();
    assert.deepEqual(tabs, jobs);

    // GraphiQL reads a tab's operation shortly after it opens the tab, and then stores its name.
    await page.waitForFunction(() => localStorage.getItem('onhand:graphiql:operationName') === 'LiveStock');
    await page.getByRole('button', { name: /execute query/i }).click();
    const result = page.locator('.result-window');
    await result.filter({ hasText: 'stockChanged' }).waitFor();

    const { adjustStock: written } = await server.graphql(adjustStock, delivery('85123A', start.locationId, 11));
    assert.deepEqual(written.errors, []);
    await result.filter({ hasText: new RegExp(`"productId": "85123A".*"quantityAvailable": ${start.quantity + 11},`, 's') }).waitFor();
    await screenshot(page, 'playground');

    // Each run of a mutation has a new idempotency key.
    await page.getByRole('tab', { name: 'Reserve', exact: true }).click();
    await page.waitForFunction(() => localStorage.getItem('onhand:graphiql:operationName') === 'Reserve');
    const reservations = new Set();
    for (let run = 1; run <= 2; run += 1) {
      await page.getByRole('button', { name: /execute query/i }).click();
      while (reservations.size < run) {
        await result.filter({ hasText: /"replayed": false/ }).waitFor();
        reservations.add((await result.innerText()).match(/res_[0-9a-f]{32}/)[0]);
      }
    }

    assert.deepEqual(outsideRequests, []);
    assert.deepEqual(pageErrors, []);
    await close();
  });
});
