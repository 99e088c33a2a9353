// What the tests of the board share.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { openPage } from './browser.js';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The screens: phone, tablet, desktop, each in both themes. */
export const screens = [[390, 844], [768, 1024], [1440, 900]].flatMap(([width, height]) => (
  ['light', 'dark'].map((colorScheme) => ({ name: `${width}-${colorScheme}`, viewport: { width, height }, colorScheme, hasTouch: width < 800, locale: 'en-GB' }))
));
export const desktop = screens[4];

/** Opens the board, and waits until it is live and has products. */
export async function openBoard(browser, url, path = '/', options = desktop) {
  const opened = await openPage(browser, `${url}${path}`, options);
  await opened.page.locator('.connection[data-state=live]').waitFor();
  return opened;
}

export const rowOf = (page, productId) => page.locator(`.row[data-product="${productId}"]`);
export const quantityOf = (page, productId, quantity) => rowOf(page, productId).locator('.quantity', { hasText: new RegExp(`^${quantity}$`) });

// What must be within the panel that it is in. A button without a border may be wider by its padding.
const panels = '.cart, .lane, .bar, .top, .filters, .forms';
const paddingMax = 9;

/** Fails when axe finds something, when the page is wider than its screen, or when something is beside its panel. */
export async function checkPage(page, what) {
  if (!await page.evaluate(() => Boolean(globalThis.axe))) await page.evaluate(axeSource);
  // Findings are of the page at rest: a colour that fades is none.
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`), [], what);
  const { scroll, width } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, width: innerWidth }));
  assert.ok(scroll <= width, `${what} is ${scroll} wide on a screen of ${width}`);
  const beside = await page.evaluate(([inside, most]) => Array.from(document.querySelectorAll(`:is(${inside}) :is(button, input, select, strong, output)`), (element) => {
    const [box, panel] = [element, element.closest(inside)].map((each) => each.getBoundingClientRect());
    return box.width > 1 && (box.right > panel.right + most || box.left < panel.left - most) ? element.outerHTML : '';
  }).filter(Boolean), [panels, paddingMax]);
  assert.deepEqual(beside, [], `${what}: beside its panel`);
}

/** Waits until a function of the test returns something true. */
export async function until(what, condition, limitMs = 20_000) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((done) => { setTimeout(done, 20); });
  }
}
