// The live board of a shop that is busy, on a computer with a wrong clock.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { checkPage, openBoard, rowOf, until } from './board.js';
import { launch, noBrowser } from './browser.js';
import { startServer } from './server.js';
import { adjustStock, delivery, readStock } from './stock.js';

const hourMs = 3_600_000;
const shoppers = 4;
// Simulated shoppers leave these alone.
const still = '20685';
const drawn = '84879';

describe('board of a busy shop', { skip: noBrowser, timeout: 180_000, concurrency: 2 }, () => {
  let server;
  let browser;
  before(async () => {
    [server, browser] = await Promise.all([startServer({ SIMULATED_SHOPPERS: String(shoppers) }), launch()]);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test('simulated shoppers are announced, and stock moves', async () => {
    const { page, close } = await openBoard(browser, server.url);
    await page.locator('.notice', { hasText: 'Demo shop Simulated shoppers are on' }).waitFor();
    await page.locator('.row .delta b').first().waitFor({ timeout: 60_000 });
    await checkPage(page, 'a busy list');
    await page.getByRole('link', { name: 'Operations' }).click();
    await page.locator('.figure', { hasText: 'Simulated shoppers' }).filter({ hasText: String(shoppers) }).waitFor();
    await close();
  });

  test('a list in the order of quantities', async () => {
    const { page, close } = await openBoard(browser, server.url);
    await rowOf(page, still).waitFor();
    await page.getByLabel('Sort').selectOption('-quantity');
    const quantities = () => page.locator('.rows .row').evaluateAll((rows) => rows
      .sort((a, b) => a.dataset.index - b.dataset.index).slice(0, 8).map((row) => Number(row.querySelector('.quantity').textContent.replaceAll(',', ''))));
    await until('the largest is the first', async () => {
      const [first, ...others] = (await quantities()).filter((quantity) => !Number.isNaN(quantity));
      return first > 1_000 && others.every((quantity) => quantity <= first);
    });
    assert.match(page.url(), /\?sort=-quantity$/);
    await close();
  });

  test('dragging in the chart shows the stock of that moment', async () => {
    const { locationId, quantity } = await readStock(server.graphql, drawn);
    await server.graphql(adjustStock, delivery(drawn, locationId, 7));
    const { page, pageErrors, close } = await openBoard(browser, server.url, `/?product=${drawn}`);
    const area = page.locator('.chart .u-over');
    await until('the history is there', () => page.getByRole('slider').isEnabled());
    await page.locator('.big', { hasText: new RegExp(`^${quantity + 7}$`) }).waitFor();
    await area.scrollIntoViewIfNeeded();
    const { x, y, width, height } = await area.boundingBox();
    const moment = async () => (await page.locator('.travel output').innerText()).match(/\d\d:\d\d:\d\d/)?.[0];
    await page.mouse.move(x + width * 0.9, y + height / 2);
    await page.mouse.down();
    await page.locator('.now', { hasText: 'As of' }).waitFor();
    const late = await moment();
    await page.mouse.move(x + width * 0.5, y + height / 2, { steps: 5 });
    await until('the moment follows the pointer', async () => await moment() !== late);
    await page.locator('.big', { hasText: /^0$/ }).waitFor(); // the shop is younger than that
    const middle = await moment();
    await page.mouse.up();
    await page.mouse.move(x + width * 0.2, y + height / 2);
    assert.equal(await moment(), middle, 'the pointer was let go');
    await page.getByRole('slider').focus();
    await page.keyboard.press('End');
    await page.locator('.big', { hasText: new RegExp(`^${quantity + 7}$`) }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Back to now' }).count(), 0);
    assert.deepEqual(pageErrors, []);
    await close();
  });

  test('the countdown follows the clock of the server', async () => {
    const { page, close } = await openBoard(browser, server.url);
    await page.clock.install({ time: Date.now() + 5 * hourMs });
    await page.reload();
    await rowOf(page, still).getByRole('button').click();
    await until('15 minutes are left', async () => /^1[45]:/.test(await page.getByRole('timer').innerText()));
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.locator('.cart', { hasText: 'Released.' }).waitFor();
    await close();
  });
});
