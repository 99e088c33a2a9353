// Makes the pictures of the documents: node pictures.js. It takes a minute, so that stock has moved.
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openBoard, rowOf } from './board.js';
import { launch } from './browser.js';
import { startServer } from './server.js';

const folder = new URL('../../docs/images', import.meta.url).pathname;
const busyMs = 60_000;
const phone = { viewport: { width: 390, height: 780 }, hasTouch: true };
const screen = { viewport: { width: 1280, height: 720 } };

const pictures = [
  ['board', '/', { ...screen, colorScheme: 'light', locale: 'en-GB' }, async (page) => {
    for (const id of ['20727', '21166']) await rowOf(page, id).getByRole('button').click();
    await page.locator('.cart .lines li').nth(1).waitFor();
  }],
  ['board-dark', '/?view=movements', { ...screen, colorScheme: 'dark', locale: 'en-GB' }, (page) => page.locator('tbody tr').first().waitFor()],
  ['board-phone', '/', { ...phone, colorScheme: 'light', locale: 'en-GB' }, (page) => rowOf(page, '20727').waitFor()],
  ['board-chinese', '/', { ...phone, colorScheme: 'dark', locale: 'zh-CN' }, (page) => rowOf(page, '20727').waitFor()],
  ['board-product', '/?product=85123A', { viewport: { width: 1280, height: 720 }, colorScheme: 'light', locale: 'en-GB' }, async (page) => {
    await page.getByRole('button', { name: /^Count, Receive/ }).first().click();
    await page.locator('.chart canvas').waitFor();
  }],
];

const [server, browser] = await Promise.all([startServer({ SIMULATED_SHOPPERS: '8' }), launch()]);
try {
  const opened = await Promise.all(pictures.map(([, path, options]) => openBoard(browser, server.url, path, options)));
  await pause(busyMs);
  for (const [i, [name, , , act]] of pictures.entries()) {
    const { page, close } = opened[i];
    await act(page);
    await page.mouse.move(0, 0);
    await pause(1_000);
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await close();
  }
} finally {
  await browser.close();
  await server.stop();
}
