// What a merchant does with the list of the board, all day.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { buildClientSchema, getIntrospectionQuery, parse, validate } from 'graphql';
import { checkPage, desktop, openBoard, quantityOf, rowOf, until } from './board.js';
import { launch, noBrowser } from './browser.js';
import { startServer } from './server.js';
import { adjustStock, delivery, readStock } from './stock.js';
import { addPoint, hourMs, pointsMax, toPath, toValues } from '../board/src/stock/hour.js';

const minuteMs = 60_000;
const stepMs = 20_000; // within it the board sends a ping, and does not call the server silent
const tall = { ...desktop, viewport: { width: 1440, height: 2_900 } }; // shows every product of the demo shop
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, locale: 'en-GB' };
const idsShown = (page) => page.locator('.rows .row').evaluateAll((rows) => rows
  .sort((a, b) => a.dataset.index - b.dataset.index).map((row) => row.dataset.product));

test('the last hour of a busy product is right all day, in bounded memory', () => {
  const begin = Date.UTC(2026, 0, 5, 8);
  const truth = [{ at: begin - hourMs, quantity: 7 }];
  const quantityAt = (values, at) => values.findLast((value) => value.at <= at)?.quantity;
  const values = toValues({ since: new Date(begin - hourMs).toISOString(), until: new Date(begin).toISOString(), points: Array(60).fill({ available: 7 }) });
  let seed = 1;
  const random = (n) => { seed = (seed * 48_271) % 2_147_483_647; return seed % n; };
  let most = 0;
  for (let now = begin; now < begin + 24 * hourMs; now += 1_000 + random(random(50) ? 40_000 : 2 * hourMs)) {
    const point = { at: now, quantity: random(500) };
    truth.push(point);
    addPoint(values, point);
    most = Math.max(most, values.length);
    assert.ok(values.length < 2 || values[1].at >= now - hourMs, 'only one point is older than an hour');
    // A point may be up to a step of 30 s off, which is less than a pixel.
    for (let at = Math.max(begin, now - hourMs); at <= now; at += 5 * minuteMs) {
      const around = truth.filter((each, i) => each.at <= at + 30_000 && (truth[i + 1]?.at ?? Infinity) >= at - 30_000).map(({ quantity }) => quantity);
      assert.ok(around.includes(quantityAt(values, at)), `at ${at}: ${quantityAt(values, at)}, not one of ${around}`);
    }
  }
  assert.ok(most <= pointsMax, `${most} points`);
  const now = begin + 30 * hourMs;
  const drawn = toPath([{ at: now - 2 * hourMs, quantity: 5 }, { at: now - 30 * minuteMs, quantity: 0 }], 96, 22, now);
  assert.deepEqual(drawn, { path: 'M0.0 1.0H48.0V21.0H96', before: 'M0 1.0H0.0' });
});

describe('list of the board', { skip: noBrowser, timeout: 180_000, concurrency: 2 }, () => {
  let server;
  let browser;
  before(async () => {
    [server, browser] = await Promise.all([startServer(), launch()]);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  // The board with a clock of its own, and a function that lets time pass, with a sign of life from the server in time.
  async function openWithClock(path = '/') {
    const opened = await openBoard(browser, server.url, path);
    const { page } = opened;
    await page.clock.install();
    let hear = () => {};
    page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => { if (payload.includes('"pong"')) hear(); }));
    await page.reload();
    await page.locator('.connection[data-state=live]').waitFor();
    const pass = async (ms) => {
      for (let left = ms; left > 0; left -= stepMs) {
        const heard = new Promise((done) => { hear = done; });
        await page.clock.fastForward(Math.min(left, stepMs));
        if (left >= stepMs) await heard;
      }
    };
    return { ...opened, pass };
  }
  const levelsOf = (page, productId) => rowOf(page, productId).locator('.line path').last()
    .evaluate((path) => [...path.getAttribute('d').matchAll(/H([\d.]+)V/g)].map(([, x]) => Number(x)));

  test('a page that is open for hours draws the last hour, and reads it again after another view', async () => {
    const id = '21166';
    const { locationId, quantity } = await readStock(server.graphql, id);
    const { page, pass, close } = await openWithClock();
    const lines = [];
    page.on('requestfinished', (request) => { if (request.postData()?.includes('query LastHour')) lines.push(...request.postDataJSON().variables.ids); });
    await until('the line is read', () => lines.includes(id));
    await server.graphql(adjustStock, delivery(id, locationId, 30));
    await quantityOf(page, id, quantity + 30).waitFor();
    await pass(6 * minuteMs);
    await server.graphql(adjustStock, delivery(id, locationId, 30));
    await quantityOf(page, id, quantity + 60).waitFor();
    await pass(50 * minuteMs);
    const xs = await levelsOf(page, id);
    assert.equal(xs.length, 2, xs.join());
    assert.ok(xs[0] < 3, `the shop began 56 minutes ago: ${xs}`);
    assert.ok(xs[1] > 9 && xs[1] < 13, `the second change was 50 minutes ago: ${xs}`);
    await pass(6 * minuteMs);
    await until('the first change has left', async () => (await levelsOf(page, id)).length === 1);

    await page.getByRole('link', { name: 'Operations' }).click();
    await page.locator('.figure').first().waitFor();
    await server.graphql(adjustStock, delivery(id, locationId, 5));
    await pass(minuteMs);
    lines.length = 0;
    await page.goBack();
    await quantityOf(page, id, quantity + 65).waitFor();
    await until('its line is read again', () => lines.includes(id));
    await close();
  });

  test('a failed read of the last hour is repeated, and no row is left out', async () => {
    const { page, close } = await openBoard(browser, server.url, '/', tall);
    const read = new Set();
    let failed = 0;
    await page.route('**/graphql', (route) => {
      const isRead = route.request().postData()?.includes('query LastHour');
      if (isRead && !failed) {
        failed += 1;
        return route.abort();
      }
      if (isRead) route.request().postDataJSON().variables.ids.forEach((id) => read.add(id));
      return route.fallback();
    });
    await page.reload();
    await page.locator('.connection[data-state=live]').waitFor();
    const ids = await until('the rows are there', async () => { const found = await idsShown(page); return found.length > 60 && found; });
    await until('every line is read', () => ids.every((id) => read.has(id)));
    assert.equal(failed, 1);
    await close();
  });

  test('filters by location, channel and status change the list, are in the URL, and survive reload and back', async () => {
    const { products } = await server.graphql(`{ products(first: 250) { nodes {
      productId stock { levels { available location { locationId } } } inBrighton: stock(channel: "brighton") { quantityAvailable } } } }`);
    const at = (product, locationId) => product.stock.levels.find(({ location }) => location.locationId === locationId);
    const having = (...locations) => products.nodes.filter((product) => locations.some((locationId) => at(product, locationId))).map(({ productId }) => productId);
    const { page, close } = await openBoard(browser, server.url, '/', tall);
    const shows = (what, ids) => until(what, async () => JSON.stringify(await idsShown(page)) === JSON.stringify(ids));
    await shows('all products', products.nodes.map(({ productId }) => productId));

    await page.getByLabel('Location').selectOption('leeds');
    await shows('those that are in Leeds', having('leeds'));
    assert.ok(page.url().endsWith('?location=leeds'));
    const sample = products.nodes.find(({ productId }) => productId === '85123A');
    await rowOf(page, sample.productId).locator('.here', { hasText: new RegExp(`^${at(sample, 'leeds').available}$`) }).waitFor();
    assert.ok(having('leeds').length < products.nodes.length);

    await page.getByLabel('Location').selectOption('');
    await page.getByLabel('Channel').selectOption('brighton');
    await shows('those of the channel', having('brighton-shop'));
    assert.ok(page.url().endsWith('?channel=brighton'));
    await quantityOf(page, sample.productId, sample.inBrighton.quantityAvailable).waitFor();

    await page.getByLabel('Status').selectOption('LOW_STOCK');
    await page.getByLabel('Location').selectOption('brighton-shop');
    await page.waitForURL('**/?status=LOW_STOCK&location=brighton-shop&channel=brighton');
    const low = having('brighton-shop').filter((id) => {
      const { available } = at(products.nodes.find((product) => product.productId === id), 'brighton-shop');
      return available > 0 && available <= 5;
    });
    await shows('those that are low there', low);
    await page.reload();
    await shows('the same after a reload', low);
    await page.getByRole('link', { name: /./ }).and(rowOf(page, low[0]).locator('a')).click();
    await page.locator('h1#title').waitFor();
    await page.goBack();
    await shows('the same after a product’s page', low);
    const chosen = (name) => page.getByLabel(name).inputValue();
    assert.deepEqual([await chosen('Status'), await chosen('Location'), await chosen('Channel')], ['LOW_STOCK', 'brighton-shop', 'brighton']);
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await shows('all products again', products.nodes.map((product) => product.productId));
    assert.equal(new URL(page.url()).search, '');
    await close();
  });

  // Each refusal is where the user has pressed: in its row, or beside the button of the product's page.
  for (const [where, options, id, limit] of [['a screen', desktop, '22720', 2], ['a phone', phone, '22726', 4]]) {
    test(`a refusal is shown beside the button that was pressed, on ${where}`, async () => {
      const { page, close } = await openBoard(browser, server.url, `/?q=${id}`, options);
      const button = rowOf(page, id).getByRole('button');
      const text = `${id}: at most ${limit} at a time.`;
      for (let i = 0; i < limit; i += 1) {
        await button.click();
        await button.filter({ hasText: '✓' }).waitFor();
      }
      await button.click();
      const note = rowOf(page, id).locator('.note', { hasText: text });
      await note.waitFor();
      await page.getByRole('status').filter({ hasText: text }).waitFor({ state: 'attached' });
      assert.ok(await button.evaluate((element) => element === document.activeElement), 'the button keeps the focus');
      const [noteBox, buttonBox, rowBox] = await Promise.all([note, button, rowOf(page, id)].map((locator) => locator.boundingBox()));
      const gap = buttonBox.x - (noteBox.x + noteBox.width);
      assert.ok(gap >= 0 && gap < 20, `the note ends ${gap} before the button`);
      assert.ok(noteBox.x >= rowBox.x && noteBox.y >= rowBox.y && noteBox.y + noteBox.height <= rowBox.y + rowBox.height, `the note ${JSON.stringify(noteBox)} is within its row ${JSON.stringify(rowBox)}`);
      await checkPage(page, 'a list with a refusal');
      await rowOf(page, id).getByRole('link').focus();
      await page.keyboard.press('Enter');
      const large = page.locator('.now .action');
      await large.getByRole('button').click();
      await large.locator('.said', { hasText: text }).waitFor();
      await close();
    });
  }

  test('the queries of all views can be copied, are valid, and the server answers them', async () => {
    const schema = buildClientSchema(await server.graphql(getIntrospectionQuery()));
    const { page, close } = await openBoard(browser, server.url, '/?status=IN_STOCK&channel=web');
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const copy = async (section, name) => {
      await section.getByRole('button', { name }).click();
      await section.getByRole('status').filter({ hasText: 'Copied' }).first().waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    const answers = async (query, variables, live) => {
      const stop = new AbortController();
      const answer = await fetch(`${server.url}/graphql`, {
        method: 'POST', signal: stop.signal,
        headers: { 'Content-Type': 'application/json', Accept: live ? 'text/event-stream' : 'application/json' },
        body: JSON.stringify({ query, variables }),
      });
      assert.equal(answer.status, 200, query);
      if (live) {
        assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
        stop.abort();
        return null;
      }
      const { data, errors } = await answer.json();
      assert.equal(errors, undefined, `${query}: ${JSON.stringify(errors)}`);
      return data;
    };
    const seen = [];
    for (const view of ['', '?view=low', '?view=movements', '?view=operations', '?product=22423', 'cart', 'lane']) {
      const isPanel = !/^(\?.*)?$/.test(view);
      if (!isPanel) await page.goto(`${server.url}/${view || '?status=IN_STOCK&channel=web'}`);
      if (!isPanel) await page.locator('.connection[data-state=live]').waitFor();
      const inside = page.locator(isPanel ? `.${view}` : 'main');
      await (view === '' || view === '?view=low' ? page.locator('.rows .row').first() : inside).waitFor();
      await inside.getByRole('button', { name: 'GraphQL' }).click();
      for (const section of await page.locator('dialog .document').all()) {
        const query = await copy(section, 'Copy query');
        const document = parse(query);
        assert.deepEqual(validate(schema, document).map(String), [], query);
        const variables = JSON.parse(await section.locator('pre').nth(1).innerText());
        const { operation, name } = document.definitions[0];
        const data = await answers(query, variables, operation === 'subscription');
        if (name.value === 'Products') {
          assert.ok(data.products.nodes.length > 0);
          if (!view) {
            assert.deepEqual(variables.filter, { status: ['IN_STOCK'], channel: 'web' });
            const answer = JSON.parse(execFileSync('sh', ['-c', await copy(section, 'Copy as curl')], { stdio: ['ignore', 'pipe', 'ignore'] }));
            assert.deepEqual(answer.data.products.totalCount, data.products.totalCount);
          }
        }
        seen.push(name.value);
      }
      await page.locator('dialog').getByRole('button', { name: 'Close' }).click();
    }
    assert.deepEqual([...new Set(seen)].sort(), ['Cart', 'History', 'Movements', 'Operations', 'Order', 'PastStock', 'Product', 'Products', 'Reserve', 'StatusChanges', 'Stock']);
    await close();
  });

  test('rows in the order of quantities do not move under the pointer, or after a key, while changes arrive', async () => {
    const { page, pass, close } = await openWithClock('/?q=box&sort=-quantity'); // no other test changes these
    let pages = 0;
    page.on('request', (request) => { pages += Number(Boolean(request.postData()?.includes('query Products'))); });
    await page.locator('.summary', { hasText: /^\d products$/ }).waitFor();
    const all = await idsShown(page);
    const shows = (what, ids) => until(what, async () => JSON.stringify(await idsShown(page)) === JSON.stringify(ids));
    // Makes a product the first one, and waits for the server's order, which may be 10 s old. So the board would get it.
    const makeFirst = async (id) => {
      const { quantity, locationId } = await readStock(server.graphql, id);
      await server.graphql(adjustStock, delivery(id, locationId, 10_000));
      await quantityOf(page, id, new Intl.NumberFormat('en').format(quantity + 10_000)).waitFor();
      await until('the order of the server has the change', async () => {
        const { products } = await server.graphql('{ products(last: 1, orderBy: QUANTITY, filter: { search: "box" }) { nodes { productId } } }');
        return products.nodes[0].productId === id;
      });
    };
    const standsStill = async (ids) => {
      await page.evaluate(() => fetch('/readyz')); // what the page has asked for was seen before
      assert.equal(pages, 0, 'the list was read');
      assert.deepEqual(await idsShown(page), ids);
    };
    const row = rowOf(page, all[1]);
    const { x, y } = await row.locator('.quantity').boundingBox();
    const under = () => page.evaluate(([left, top]) => document.elementFromPoint(left, top).closest('.row')?.dataset.product, [x + 4, y + 4]);
    await page.mouse.move(x + 4, y + 4);
    pages = 0;
    await makeFirst(all.at(-1));
    await pass(2 * stepMs);
    await standsStill(all);
    assert.equal(await under(), all[1]);
    await page.getByRole('button', { name: 'Update the list' }).waitFor();
    await page.mouse.move(0, 0);
    await pass(6_000);
    const next = [all.at(-1), ...all.slice(0, -1)];
    await shows('the list follows when the pointer has left', next);

    await row.focus();
    await page.mouse.move(x + 4, y + 4);
    pages = 0;
    await makeFirst(next.at(-1));
    await page.keyboard.press('ArrowDown');
    await page.mouse.move(0, 0);
    await pass(8_000);
    await standsStill(next);
    await page.getByRole('button', { name: 'Update the list' }).waitFor();
    await pass(4_000);
    await shows('the list follows 10 s after the last key', [next.at(-1), ...next.slice(0, -1)]);
    await close();
  });

  test('rows do not move under the pointer while changes arrive', async () => {
    const { page, pass, close } = await openWithClock('/?q=jumbo&status=IN_STOCK');
    await rowOf(page, '22386').waitFor();
    const all = await idsShown(page);
    const [, first, second, last] = all;
    const sellOut = async (productId) => {
      const { stock } = await server.graphql('query Read($id: ID!) { stock(productId: $id) { levels { available location { locationId } } } }', { id: productId });
      const rows = stock.levels.filter(({ available }) => available).map(({ available, location }) => ({ productId, locationId: location.locationId, delta: -available }));
      await server.graphql(adjustStock, { input: { idempotencyKey: `pointer-${productId}`, reason: 'SHRINKAGE', rows } });
      await rowOf(page, productId).locator('.status[data-status=OUT_OF_STOCK]').waitFor();
    };
    const { x, y } = await rowOf(page, last).locator('.quantity').boundingBox();
    const under = () => page.evaluate(([left, top]) => document.elementFromPoint(left, top).closest('.row')?.dataset.product, [x + 4, y + 4]);
    const shows = (what, ids) => until(what, async () => JSON.stringify(await idsShown(page)) === JSON.stringify(ids));
    await page.mouse.move(x + 4, y + 4);
    await sellOut(first);
    await page.getByRole('button', { name: 'Update the list' }).waitFor(); // another list is there, and waits
    await pass(2 * stepMs);
    assert.equal(await under(), last);
    await page.mouse.move(0, 0);
    await pass(6_000);
    await shows('the list follows when the pointer has left', all.filter((id) => id !== first));
    assert.equal(await page.getByRole('button', { name: 'Update the list' }).count(), 0);

    await page.mouse.move(x + 4, y - 32); // the same product
    await sellOut(second);
    await pass(6_000);
    await page.getByRole('button', { name: 'Update the list' }).click();
    await shows('the list follows when it is told to', all.filter((id) => id !== first && id !== second));
    await pass(6_000);
    assert.equal(await page.getByRole('button', { name: 'Update the list' }).count(), 0, 'nothing has changed since');
    await close();
  });
});
