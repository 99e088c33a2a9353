// A browser that can reach the server under test and nothing else, and that
// writes down whatever a page tried beyond that.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';

/** The reason to skip browser tests, or false. */
export const noBrowser = existsSync(executablePath) ? false : `no Chromium at ${executablePath} (set CHROMIUM to its path)`;

export const launch = () => chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
});

/** A fresh page; `outside` and `complaints` stay empty when all is well. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const { host } = new URL(url);
  const outside = [];
  const complaints = [];
  const isOutside = (target) => !/^(data|blob):/.test(target) && new URL(target).host !== host;

  await context.route('**/*', (route) => {
    const target = route.request().url();
    if (!isOutside(target)) return route.continue();
    outside.push(target);
    return route.abort();
  });
  const page = await context.newPage();
  page.on('websocket', (socket) => { if (isOutside(socket.url())) outside.push(socket.url()); });
  page.on('pageerror', (err) => complaints.push(String(err)));
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  await page.goto(url);
  return { page, outside, complaints, close: () => context.close() };
}

/** Saves a picture where SCREENSHOT_DIR asks for it. */
export async function picture(page, name) {
  if (process.env.SCREENSHOT_DIR) await page.screenshot({ path: join(process.env.SCREENSHOT_DIR, `${name}.png`) });
}
