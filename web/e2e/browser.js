// A browser that can reach the server under test only. It records what a page requests
// from other hosts.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';

/** The reason to skip browser tests, or false. */
export const noBrowser = existsSync(executablePath) ? false : `no Chromium at ${executablePath} (set CHROMIUM to its path)`;

/** Starts a browser. The other names lead to this machine too. */
export const launch = (otherNames = []) => chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', `--host-resolver-rules=${otherNames.map((name) => `MAP ${name} 127.0.0.1, `).join('')}MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`],
});

/** Opens a new page. `outsideRequests` are URLs of other hosts, `pageErrors` the page's errors. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const { host } = new URL(url);
  const outsideRequests = [];
  const pageErrors = [];
  const isOutside = (target) => !/^(data|blob):/.test(target) && new URL(target).host !== host;

  await context.route('**/*', (route) => {
    const target = route.request().url();
    if (!isOutside(target)) return route.continue();
    outsideRequests.push(target);
    return route.abort();
  });
  const page = await context.newPage();
  page.on('websocket', (socket) => { if (isOutside(socket.url())) outsideRequests.push(socket.url()); });
  page.on('pageerror', (err) => pageErrors.push(String(err)));
  page.on('console', (message) => { if (message.type() === 'error') pageErrors.push(message.text()); });
  await page.goto(url);
  return { page, outsideRequests, pageErrors, close: () => context.close() };
}

/** Saves a screenshot in SCREENSHOT_DIR, if it is set. */
export async function screenshot(page, name) {
  if (process.env.SCREENSHOT_DIR) await page.screenshot({ path: join(process.env.SCREENSHOT_DIR, `${name}.png`) });
}
