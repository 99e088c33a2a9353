// The live board, in a real browser.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { checkPage, desktop, openBoard, quantityOf, rowOf, screens, until } from './board.js';
import { launch, noBrowser, screenshot } from './browser.js';
import { startServer } from './server.js';
import { adjustStock, delivery, readStock } from './stock.js';
import { newToken, secret } from './tokens.js';
import chinese from '../board/src/words/chinese.js';
import english from '../board/src/words/english.js';

const product = '20728'; // on the first screen of the list, and in no other test's cart
const other = '85123A';

// One more view for each screen: together the screens show all of them.
const views = [
  ['cart', '/', async (page) => {
    await rowOf(page, '20725').getByRole('button').click();
    await rowOf(page, '20725').getByRole('button', { name: 'Reserve 1' }).filter({ hasText: '✓' }).waitFor();
    await page.getByRole('button', { name: /^Cart \d+$/ }).click();
    await page.getByRole('timer').waitFor();
  }],
  ['product', `/?product=${other}`, async (page) => { await page.locator('.chart canvas').waitFor(); }],
  ['movements', '/?view=movements', async (page) => { await page.locator('tbody tr').first().waitFor(); }],
  ['query', '/?view=low', async (page) => { await page.getByRole('button', { name: 'GraphQL' }).first().click(); }],
  ['operations', '/?view=operations', async (page) => { await page.locator('.figure').first().waitFor(); }],
  ['count', `/?product=${other}`, async (page) => { await page.getByRole('button', { name: /^Count, Receive/ }).first().click(); }],
];

describe('board', { skip: noBrowser, timeout: 240_000 }, () => {
  let server;
  let browser;
  before(async () => {
    [server, browser] = await Promise.all([startServer(), launch()]);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test('a reservation in one page is seen in another within 100 ms', async () => {
    const [one, two] = await Promise.all([openBoard(browser, server.url), openBoard(browser, server.url)]);
    const took = [];
    let { quantity } = await readStock(server.graphql, product);
    // The fastest counts: a busy machine may delay any of them.
    while (took.length < 10 && !(Math.min(...took) < 100)) {
      await Promise.all([quantityOf(one.page, product, quantity).waitFor(), quantityOf(two.page, product, quantity).waitFor()]);
      const seen = two.page.evaluate(([id, last]) => new Promise((done) => {
        const cell = document.querySelector(`.row[data-product="${id}"] .quantity`);
        new MutationObserver((_, observer) => {
          if (cell.textContent === String(last)) return;
          observer.disconnect();
          done(Date.now());
        }).observe(cell, { childList: true, characterData: true, subtree: true });
      }), [product, quantity]);
      const pressed = await rowOf(one.page, product).getByRole('button').evaluate((button) => { const now = Date.now(); button.click(); return now; });
      took.push(await seen - pressed);
      quantity -= 1;
    }
    console.log(`a reservation was seen in the other page after ${took.join(', ')} ms`);
    assert.ok(Math.min(...took) < 100, took.join());
    await one.page.locator('.cart .lines output', { hasText: String(took.length) }).waitFor();
    await rowOf(two.page, product).locator('.delta', { hasText: '−1' }).waitFor();

    // Undo gives the last unit back, and release all others.
    await one.page.getByRole('button', { name: 'Undo' }).click();
    await quantityOf(two.page, product, quantity + 1).waitFor();
    if (took.length > 1) await one.page.getByRole('button', { name: 'Release' }).click();
    await quantityOf(two.page, product, quantity + took.length).waitFor();
    await Promise.all([one.close(), two.close()]);
  });

  // Each test has products of its own, so that two may run at a time.
  describe('views', { concurrency: 2 }, () => {
    screens.forEach((screen, i) => {
      test(`${screen.name}: everything fits, nothing comes from another host, axe finds nothing`, async () => {
        const { page, outsideRequests, pageErrors, close } = await openBoard(browser, server.url, '/', screen);
        await rowOf(page, '20685').waitFor();
        await checkPage(page, 'the list');
        await screenshot(page, `board-${screen.name}`);
        const [name, path, act] = views[i];
        if (path !== '/') {
          await page.goto(server.url + path);
          await page.locator('.connection[data-state=live]').waitFor();
        }
        await act(page);
        await checkPage(page, name);
        await screenshot(page, `board-${screen.name}-${name}`);
        assert.deepEqual(outsideRequests, []);
        assert.deepEqual(pageErrors, []);
        await close();
      });
    });

    test('the cart counts down, extends, orders, and keeps the focus when a line goes', async () => {
      const { page, close } = await openBoard(browser, server.url);
      await rowOf(page, '20727').getByRole('button').click();
      const timer = page.getByRole('timer');
      await timer.waitFor();
      const early = await timer.innerText();
      await until('the countdown goes on', async () => await timer.innerText() < early);
      await page.getByRole('button', { name: 'Extend' }).click();
      await until('the time starts again', async () => await timer.innerText() >= early);
      await page.reload();
      await page.getByRole('button', { name: /^One less/ }).click(); // the cart survives a reload
      await page.locator('.cart', { hasText: 'Released.' }).waitFor();
      assert.notEqual(await page.evaluate(() => document.activeElement.tagName), 'BODY');
      await page.getByRole('button', { name: 'New cart' }).click();
      await rowOf(page, '20727').getByRole('button').click();
      await page.getByRole('button', { name: 'Order' }).click();
      await page.locator('.cart', { hasText: 'Ordered as board-' }).waitFor();
      await close();
    });

    test('the keyboard reaches everything, and filters are in the URL', async () => {
      const { page, close } = await openBoard(browser, server.url);
      await rowOf(page, '20685').waitFor();
      const focused = () => page.evaluate(() => document.activeElement.dataset.product ?? document.activeElement.id);
      await page.locator('.row[tabindex="0"]').focus();
      for (const key of ['ArrowDown', 'ArrowDown', 'End', 'Home', 'ArrowDown']) await page.keyboard.press(key);
      await until('the second row has the focus', async () => await focused() === '20725');
      await page.keyboard.press('r');
      await rowOf(page, '20725').locator('button', { hasText: '✓' }).waitFor();
      assert.equal(await focused(), '20725');
      await page.keyboard.press('Control+z');
      await page.locator('.cart', { hasText: 'Released.' }).waitFor();
      await page.keyboard.press('Enter');
      await until('the heading has the focus', async () => await focused() === 'title');
      await page.goBack();
      await page.locator('.row[tabindex="0"]').focus();
      await page.keyboard.press('/');
      await page.keyboard.type('cakestand');
      await page.locator('.summary', { hasText: /^1 product$/ }).waitFor();
      assert.match(page.url(), /\?q=cakestand$/);
      await page.getByLabel('Search').fill('2242'); // a part of the id
      await until('the list has the product', async () => (await page.locator('.rows .row').count()) < 10 && await rowOf(page, '22423').count() === 1);
      await page.getByLabel('Search').fill('cakestand');
      await page.locator('.summary', { hasText: /^1 product$/ }).waitFor();
      await page.reload();
      await rowOf(page, '22423').waitFor();
      assert.equal(await page.locator('.rows .row').count(), 1);
      await page.getByRole('button', { name: 'Clear filters' }).click();
      await page.getByLabel('Status').selectOption('OUT_OF_STOCK');
      await page.locator('.rows .row', { hasText: 'Sold out' }).first().waitFor();
      assert.match(page.url(), /\?status=OUT_OF_STOCK$/);
      await close();
    });

    test('what a user types into the search stays while the list renders anew', async () => {
      const { page, close } = await openBoard(browser, server.url);
      await rowOf(page, '20685').waitFor();
      // The list renders after each letter, before the letters are in the URL.
      const typed = await page.getByLabel('Search').evaluate(async (input) => {
        const seen = [];
        for (const letter of 'cakestand') {
          input.value += letter;
          input.dispatchEvent(new InputEvent('input', { bubbles: true }));
          dispatchEvent(new PopStateEvent('popstate'));
          await new Promise((done) => { requestAnimationFrame(() => setTimeout(done)); });
          seen.push(input.value);
        }
        return seen.at(-1);
      });
      assert.equal(typed, 'cakestand');
      await page.locator('.summary', { hasText: /^1 product$/ }).waitFor();
      await close();
    });

    test('a count that is stale: the user chooses', async () => {
      const { page, close } = await openBoard(browser, server.url, `/?product=${other}`);
      const start = await readStock(server.graphql, other);
      await page.getByRole('button', { name: /^Count, Receive/ }).first().click();
      const input = page.getByLabel(/^Counted at/);
      await input.fill('7');
      await server.graphql(adjustStock, delivery(other, start.locationId, 5));
      await page.locator('.big', { hasText: String(start.quantity + 5) }).waitFor();
      await page.getByRole('button', { name: 'Save the count' }).click();
      const choice = page.getByRole('alert').filter({ hasText: 'changed while you counted' });
      await choice.getByRole('button', { name: 'Count again' }).click();
      assert.ok(await input.evaluate((element) => element === document.activeElement));
      await input.fill('400');
      await page.keyboard.press('Enter');
      await page.getByText('Counted 400').waitFor();
      await page.getByLabel(/^Units received at/).fill('20');
      await page.getByRole('button', { name: 'Receive', exact: true }).click();
      await page.getByText('Saved').waitFor();
      await page.locator('.levels tbody tr').first().filter({ hasText: '420' }).waitFor();
      await close();
    });

    test('the feed of movements pauses and resumes from its cursor, and time travel shows the past', async () => {
      const { page, close } = await openBoard(browser, server.url, `/?product=${product}`);
      const { locationId } = await readStock(server.graphql, product);
      const rows = page.locator('.feed tbody tr');
      await rows.first().waitFor();
      await page.getByRole('button', { name: 'Pause' }).click();
      const before = await rows.count();
      for (const delta of [31, 32, 33]) await server.graphql(adjustStock, delivery(product, locationId, delta));
      assert.equal(await rows.count(), before);
      await page.getByRole('button', { name: 'Resume' }).click();
      await page.locator('h1').hover(); // the feed stands still while the pointer is inside
      await page.locator('h1').focus();
      await rows.filter({ hasText: '+33' }).waitFor();
      const texts = await rows.allInnerTexts();
      assert.deepEqual(texts.slice(0, 3).map((text) => text.match(/\+(3\d)/)?.[1]), ['33', '32', '31']);

      const slider = page.getByRole('slider');
      await until('the history is there', () => slider.isEnabled());
      await slider.focus();
      await page.keyboard.press('PageDown');
      await page.locator('.now', { hasText: 'As of' }).waitFor();
      await page.getByRole('button', { name: 'Back to now' }).click();
      await page.locator('.now').getByRole('button', { name: /^Reserve/ }).waitFor();
      await close();
    });

    test('what sells out is in the lane and in the list of low stock, and comes back', async () => {
      const { page, close } = await openBoard(browser, server.url, '/?view=low');
      await page.locator('.lane', { hasText: 'Nothing since' }).waitFor();
      const { quantity, locationId } = await readStock(server.graphql, '22077');
      const { stock } = await server.graphql('{ stock(productId: "22077") { levels { available location { locationId } } } }');
      const rows = stock.levels.filter(({ available }) => available).map(({ available, location }) => ({ productId: '22077', locationId: location.locationId, delta: -available }));
      const sold = await server.graphql(adjustStock, { input: { idempotencyKey: `sold-out-${Date.now()}`, reason: 'SHRINKAGE', rows } });
      assert.deepEqual(sold.adjustStock.errors, []);
      await page.locator('.lane li[data-kind=soldOut]').waitFor();
      await rowOf(page, '22077').locator('.status[data-status=OUT_OF_STOCK]').waitFor();
      await server.graphql(adjustStock, delivery('22077', locationId, quantity));
      await page.locator('.lane li[data-kind=cameBack]').waitFor();
      await until('the product has left the list', async () => await rowOf(page, '22077').count() === 0);
      await close();
    });

    test('Chinese and English have the same words, and the choice stays', async () => {
      assert.deepEqual(Object.keys(chinese).sort(), Object.keys(english).sort());
      const places = (text) => text.match(/\{\w+\}/g)?.sort() ?? [];
      for (const key of Object.keys(english)) assert.deepEqual(places(chinese[key]), places(english[key]), key);

      const { page, close } = await openBoard(browser, server.url);
      await page.getByRole('button', { name: 'Settings' }).click();
      await page.getByRole('button', { name: '中文' }).click();
      await page.getByRole('dialog').getByRole('button', { name: '关闭' }).click();
      await page.reload();
      await page.locator('.connection', { hasText: '实时' }).waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-CN');
      await rowOf(page, '20685').locator('.status', { hasText: '有货' }).waitFor();
      await checkPage(page, 'the list in Chinese');
      await screenshot(page, 'board-chinese');
      await close();
    });

    test('a frozen server is stale, a restarted one is live again', async () => {
      const mine = await startServer();
      const { page, close } = await openBoard(browser, mine.url, '/', desktop);
      await page.clock.install();
      await page.reload();
      await page.locator('.connection[data-state=live]').waitFor();
      await page.locator('.summary', { hasText: /^67 products$/ }).waitFor();
      mine.signal('SIGSTOP');
      await page.clock.fastForward(20_000);
      await page.locator('.connection[data-state=quiet]', { hasText: 'No signal for' }).waitFor();
      await page.clock.fastForward(10_000); // 25 s of silence
      await page.locator('.connection[data-state=reconnecting]', { hasText: 'stale since' }).waitFor();
      assert.ok(await page.locator('[data-stale]').count());
      const colour = (where) => page.locator(where).first().evaluate((element) => getComputedStyle(element).color);
      assert.equal(await colour(`[data-product="${product}"] .quantity`), await colour('.lane .soft'), 'the numbers are dimmed');
      await checkPage(page, 'a stale page');
      await screenshot(page, 'board-stale');
      mine.signal('SIGCONT');
      await until('the page is live again', async () => {
        await page.clock.fastForward(1_000);
        return page.locator('.connection[data-state=live]').count();
      }, 60_000);
      await close();
      await mine.stop();
    });

    test('a token decides what is shown, and is not stored', async () => {
      const mine = await startServer({ AUTH_SECRET: secret });
      const { page, pageErrors, close } = await openBoard(browser, mine.url, `/?product=${product}`);
      await page.getByText('Quantities by location need a token with the scope read:inventory.').waitFor();
      await checkPage(page, 'a product without a token');
      await page.getByRole('button', { name: 'Sign in' }).click();
      const token = newToken('read:inventory write:inventory');
      await page.getByLabel('Bearer token').fill(token);
      await page.getByRole('button', { name: 'Use the token' }).click();
      await page.getByRole('button', { name: 'Close' }).click();
      await page.locator('.levels tbody tr').first().waitFor();
      await page.locator('.connection[data-state=live]').waitFor();
      assert.equal(await page.getByRole('link', { name: 'Operations' }).count(), 0);
      const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
      assert.ok(!stored.includes(token.split('.')[1]));
      assert.deepEqual(pageErrors.filter((text) => !/401|403/.test(text)), []);
      await close();
      await mine.stop();
    });

    test('a page whose first requests fail goes on by itself', async () => {
      const { page, close } = await openBoard(browser, server.url, '/?view=operations');
      const answers = [503, 'fail', 502];
      await page.route('**/graphql', (route) => {
        if (!answers.length || !route.request().postData()?.includes('query Access')) return route.fallback();
        const answer = answers.shift();
        if (answer === 'fail') return route.abort();
        const body = answer === 503 ? JSON.stringify({ errors: [{ message: 'try again', extensions: { code: 'UNAVAILABLE', retryAfterMs: 100 } }] }) : '<html>Bad gateway</html>';
        return route.fulfill({ status: answer, contentType: answer === 503 ? 'application/json' : 'text/html', body });
      });
      await page.reload();
      await page.getByRole('alert').filter({ hasText: 'The server does not answer yet.' }).waitFor();
      assert.equal(await page.getByText('needs a token').count(), 0);
      await page.locator('.figure').first().waitFor();
      assert.deepEqual(answers, []);
      assert.equal(await page.getByRole('alert').count(), 0);
      await close();
    });

    test('a subscription that the server is too busy for is tried again', async () => {
      const { page, close } = await openBoard(browser, server.url, '/');
      const tries = [];
      await page.routeWebSocket(/graphql$/, (socket) => {
        const to = socket.connectToServer();
        socket.onMessage((text) => {
          const { id, type, payload } = JSON.parse(text);
          if (type !== 'subscribe' || !payload.query.includes('stockStatusChanged') || tries.push(id) > 1) return to.send(text);
          return socket.send(JSON.stringify({ id, type: 'error', payload: [{ message: 'try again', extensions: { code: 'UNAVAILABLE' } }] }));
        });
      });
      await page.reload();
      await until('the second try', () => tries.length === 2);
      assert.equal(new Set(tries).size, 2);
      await close();
    });

    test('a connection that is closed as failed is made again', async () => {
      const { page, close } = await openBoard(browser, server.url, '/?view=operations');
      await page.clock.install();
      const sockets = [];
      await page.routeWebSocket(/graphql$/, (socket) => {
        socket.connectToServer();
        sockets.push(socket);
      });
      let answers = 0;
      page.on('requestfinished', (request) => { answers += Number(Boolean(request.postData()?.includes('query Access'))); });
      await page.reload();
      await page.locator('.figure').first().waitFor();
      await page.locator('.connection[data-state=live]').waitFor();
      await until('it has asked at the start and for the connection', () => answers === 2); // each answer makes it subscribe anew
      await page.evaluate(() => fetch('/readyz'));
      await sockets[0].close({ code: 1011, reason: 'of a proxy' });
      await page.locator('.connection[data-state=reconnecting]').waitFor();
      await until('it is made again', async () => {
        await page.clock.fastForward(1_000);
        return sockets.length > 1;
      });
      await page.locator('.connection[data-state=live]').waitFor();
      await close();
    });

    test('the end of the connection before says nothing of the one with a new token', async () => {
      const mine = await startServer({ AUTH_SECRET: secret });
      const { page, close } = await openBoard(browser, mine.url);
      await page.addInitScript(() => {
        const closeNow = WebSocket.prototype.close;
        WebSocket.prototype.close = function close(...args) {
          this.addEventListener('close', () => setTimeout(() => { globalThis.isClosed = true; }));
          globalThis.closeLate = () => closeNow.apply(this, args);
        };
      });
      let connections = 0;
      page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => { connections += Number(payload.includes('connection_ack')); }));
      await page.reload();
      await page.locator('.connection[data-state=live]').waitFor();
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByLabel('Bearer token').fill(newToken('read:inventory'));
      await page.getByRole('button', { name: 'Use the token' }).click();
      await until('it is connected again', () => connections === 2);
      await page.locator('.connection[data-state=live]').waitFor();
      await page.evaluate(() => globalThis.closeLate());
      await page.waitForFunction(() => globalThis.isClosed);
      assert.equal(await page.locator('.connection').getAttribute('data-state'), 'live');
      await close();
      await mine.stop();
    });

    test('a restart of the server is survived', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'onhand-e2e-'));
      // The default database, which has the demo shop, in a folder that a second server finds again.
      const settings = { DATABASE_URL: undefined, XDG_DATA_HOME: folder, SIMULATED_SHOPPERS: '0' };
      const first = await startServer(settings);
      const { page, close } = await openBoard(browser, first.url);
      const { quantity, locationId } = await readStock(first.graphql, product);
      await quantityOf(page, product, quantity).waitFor();
      await first.stop();
      await page.locator('.connection[data-state=reconnecting]', { hasText: 'stale since' }).waitFor();
      const second = await startServer({ ...settings, LISTEN_ADDR: new URL(first.url).host });
      await page.locator('.connection[data-state=live]').waitFor({ timeout: 60_000 });
      await second.graphql(adjustStock, delivery(product, locationId, 9));
      await quantityOf(page, product, quantity + 9).waitFor();
      await close();
      await second.stop();
      rmSync(folder, { recursive: true, force: true });
    });
  });
});
