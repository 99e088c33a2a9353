// The board of a large shop: 100,000 products scrolled through, sorted and filtered. Part of make test-all.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openBoard, until } from '../board.js';
import { launch, noBrowser } from '../browser.js';
import { serverBinary, startServer } from '../server.js';

const products = 100_000;
const taskMaxMs = 50;
const attemptsMax = 3; // a busy machine makes long tasks of its own
const heapMaxMB = 60; // some 20 are used: a row has some 200 bytes
const firstRequestsMax = 12; // of the list: pages of 250 as far as 1,000 rows beyond the screen

// A database file with the shop.
function makeShop(folder) {
  const rows = Array.from({ length: products }, (_, i) => `large-${String(i).padStart(6, '0')},Product ${i} of a large shop,london,${(i * 7919) % 1000}`);
  const file = join(folder, 'stock.csv');
  writeFileSync(file, `product_id,title,location_id,available\n${rows.join('\n')}\n`);
  const url = `sqlite:${join(folder, 'shop.db')}`;
  execFileSync(serverBinary(), ['import', '--create-similar', file], { env: { PATH: process.env.PATH, HOME: folder, DATABASE_URL: url }, stdio: 'pipe' });
  return url;
}

// Runs a part of the test until it causes no long task. Returns the long tasks of each attempt.
async function withoutLongTasks(page, name, part) {
  const attempts = [];
  while (attempts.length < attemptsMax) {
    await page.evaluate(() => {
      globalThis.longTasks = [];
      globalThis.observer = new PerformanceObserver((entries) => entries.getEntries().forEach(({ duration }) => globalThis.longTasks.push(Math.round(duration))));
      globalThis.observer.observe({ type: 'longtask' });
    });
    await part();
    attempts.push(await page.evaluate(() => { globalThis.observer.disconnect(); return globalThis.longTasks.filter((duration) => duration > 50); }));
    if (!attempts.at(-1).length) break;
  }
  assert.ok(!attempts.at(-1).length, `${name}: tasks over ${taskMaxMs} ms in each of ${attemptsMax} attempts: ${JSON.stringify(attempts)}`);
  return attempts;
}

describe('board of a large shop', { skip: noBrowser, timeout: 500_000 }, () => {
  let folder;
  let server;
  let browser;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'onhand-e2e-'));
    [server, browser] = await Promise.all([startServer({ DATABASE_URL: makeShop(folder) }), launch()]);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('100,000 rows scrolled, sorted and filtered without a task over 50 ms, in bounded memory', async () => {
    const opened = Date.now();
    let requests = 0;
    const { page, close } = await openBoard(browser, server.url);
    const summary = page.locator('.summary');
    const settled = () => until('enough is loaded', async () => !/oading/.test(await summary.innerText()), 120_000);
    await settled();
    const firstMs = Date.now() - opened;
    const tools = await page.context().newCDPSession(page);
    const heapMB = async () => {
      await tools.send('HeapProfiler.collectGarbage');
      return (await tools.send('Runtime.getHeapUsage')).usedSize / 1e6;
    };
    page.on('request', (request) => { if (request.postData()?.includes('query Products')) requests += 1; });
    const result = { firstMs, heapMB: [Math.round(await heapMB())] };

    // Sorting and filtering read a few pages, however many products there are.
    for (const [label, value, row] of [['Sort', '-quantity', /^999$/], ['Sort', 'title', /^0$/], ['Status', 'OUT_OF_STOCK', /^0$/], ['Status', '', /^0$/]]) {
      requests = 0;
      result[`${label} ${value}`] = await withoutLongTasks(page, `${label} ${value}`, async () => {
        await page.getByLabel(label).selectOption(value);
        await page.locator('.row[data-index="0"] .quantity', { hasText: row }).waitFor({ timeout: 60_000 });
        await settled();
      });
      assert.ok(requests <= attemptsMax * firstRequestsMax, `${requests} requests`);
    }
    await page.getByLabel('Search').fill('9999');
    await summary.filter({ hasText: /^19 products$/ }).waitFor();
    await page.getByLabel('Search').fill('');
    await page.getByLabel('Sort').selectOption('id');

    // Scrolling reads on, to the end.
    await page.locator('.row[data-product="large-000000"]').waitFor();
    const began = Date.now();
    result.scrolled = await withoutLongTasks(page, 'scrolling', async () => {
      await page.evaluate(() => {
        const grid = document.querySelector('.grid');
        grid.scrollTop = 0;
        globalThis.scrolling = setInterval(() => { grid.scrollTop += 7_200; }, 16);
      });
      await until('the last row is shown', () => page.locator('.row[data-product="large-099999"]').count(), 180_000);
      await page.evaluate(() => clearInterval(globalThis.scrolling));
    });
    result.scrolledMs = Date.now() - began;
    await summary.filter({ hasText: /^100,000 products$/ }).waitFor();
    assert.ok(await page.locator('.rows .row').count() < 60, 'few rows are in the document');
    result.heapMB.push(Math.round(await heapMB()));
    console.log(JSON.stringify(result));
    assert.ok(result.heapMB[1] < heapMaxMB, `the page uses ${result.heapMB[1]} MB`);
    await close();
  });
});
