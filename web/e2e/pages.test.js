// The pages, in a real browser that can reach this machine only.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { launch, noBrowser, openPage, screenshot } from './browser.js';
import { startServer } from './server.js';
import { adjustStock, delivery, readStock } from './stock.js';

if (noBrowser) console.log(`skipped: ${noBrowser}`);

describe('pages', { skip: noBrowser, timeout: 120_000 }, () => {
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

  test('playground: samples in tabs, a live subscription, no request to another host', async () => {
    const start = await readStock(server.graphql, '85123A');
    const { page, outsideRequests, pageErrors, close } = await openPage(browser, `${server.url}/playground`);
    await page.getByRole('tab', { name: 'LiveStock' }).click();
    const tabs = await page.getByRole('tab').allInnerTexts();
    assert.deepEqual(tabs.slice(0, 9), ['ProductList', 'ProductPage', 'LiveStock', 'Reserve', 'PlaceOrder', 'Adjust', 'Catalogue', 'Count', 'History']);

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

  for (const [name, options] of [['desktop', {}], ['phone', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }]]) {
    test(`front page (${name}): live quantities, and a reservation takes one unit`, async () => {
      const start = await readStock(server.graphql, '22423');
      const { page, outsideRequests, pageErrors, close } = await openPage(browser, server.url, options);
      await page.locator('#link', { hasText: 'live' }).waitFor();
      assert.equal(await page.locator('#products li').count(), 6);

      const card = page.locator('li[data-product="22423"]');
      await card.locator('output', { hasText: new RegExp(`^${start.quantity}$`) }).waitFor();
      await card.getByRole('button').click();
      await card.locator('output', { hasText: new RegExp(`^${start.quantity - 1}$`) }).waitFor();
      await page.locator('#notice', { hasText: 'is reserved until' }).waitFor();

      const { scroll, width } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, width: innerWidth }));
      assert.ok(scroll <= width, `the page is ${scroll} wide on a screen of ${width}`);
      assert.equal(await page.locator('.origin').first().innerText(), server.url);
      await screenshot(page, `front-${name}`);

      assert.deepEqual(outsideRequests, []);
      assert.deepEqual(pageErrors, []);
      await close();
    });
  }

  test('front page: its shell commands work as printed', async () => {
    const { page, close } = await openPage(browser, server.url);
    await page.locator('#link', { hasText: 'live' }).waitFor();
    const [ask, reserve, watch] = await page.locator('pre').allInnerTexts();
    await close();

    const { data } = JSON.parse(await outputOf(ask, /\}\s*$/));
    assert.deepEqual(data.stocks.map(({ productId }) => productId), ['85123A', '22423']);
    const { reserveStock } = JSON.parse(await outputOf(reserve, /\}\s*$/)).data;
    assert.deepEqual(reserveStock.errors, []);
    assert.ok(reserveStock.reservation.id);
    assert.match(await outputOf(watch, /stockChanged.*\n/), /event: ?next/);
  });
});

/** Runs a shell command until its output matches, then ends it. */
function outputOf(command, expected) {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', `exec ${command}`], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errorOutput = '';
    child.stderr.on('data', (chunk) => { errorOutput += chunk; });
    child.stdout.on('data', (chunk) => {
      output += chunk;
      if (expected.test(output)) child.kill();
    });
    child.on('error', reject);
    child.on('close', () => (expected.test(output) ? resolve(output) : reject(new Error(`${command}\n${output}${errorOutput}`))));
  });
}
