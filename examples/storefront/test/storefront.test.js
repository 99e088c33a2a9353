import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { noBrowser, openShop } from './shop.js'

const patience = { timeout: 30_000 }
let shop
before(async () => { if (!noBrowser) shop = await openShop() })
after(() => shop?.stop())
const shows = (page, text) => page.getByText(text).first().waitFor(patience)

test('a list page is live: another shopper reserves', { skip: noBrowser }, async () => {
  const page = await shop.openPage('#/list')
  const tile = page.locator('[data-product="21754"]') // Home Building Block Word: 18 on the second or a later page
  while (!await tile.count()) {
    await page.locator('.list li').first().waitFor(patience)
    if (await tile.count()) break
    const first = await page.locator('.list li').first().getAttribute('data-product')
    await page.getByRole('link', { name: 'Next page' }).click()
    await page.waitForFunction((id) => document.querySelector('.list li')?.dataset.product !== id, first, patience)
  }
  await tile.getByText('18 in stock').waitFor(patience)
  await shop.graphql('mutation { reserveStock(input: {idempotencyKey: "another-shopper", lines: [{productId: "21754", quantity: 7}]}) { errors { message } } }')
  await tile.getByText('11 in stock').waitFor(patience)
  await shows(page, 'Live')
  assert.deepEqual(page.errors, [])
})

test('a cart: reserved, more time, ordered by the order service', { skip: noBrowser }, async () => {
  const [page, other] = [await shop.openPage('#/product/22139'), await shop.openPage('#/product/22139')]
  await shows(page, 'Only 2 left')
  await shows(other, 'Only 2 left')
  await page.getByRole('button', { name: 'Put into the cart' }).click()
  await shows(page, '1 × 22139')
  await shows(other, 'Only 1 left')
  const countdown = page.locator('.countdown time')
  await page.waitForFunction(() => /^(5:00|4:[0-5]\d)$/.test(document.querySelector('.countdown time')?.textContent ?? ''), undefined, patience)
  const before = await countdown.textContent()
  await page.waitForFunction((text) => document.querySelector('.countdown time').textContent !== text, before, patience)
  await page.getByRole('button', { name: 'More time' }).click()

  await other.getByRole('spinbutton').fill('5') // too many: the shopper reads how many there are
  await other.getByRole('button', { name: 'Put into the cart' }).click()
  await other.getByRole('alert').getByText('Only 1 left').waitFor(patience)

  await page.getByRole('button', { name: 'Order' }).click()
  await shows(page, 'Thank you. Your order is web-')
  const { reservations } = await shop.graphql('{ reservations(first: 5, filter: {productId: "22139"}) { nodes { state orderRef } } }')
  assert.equal(reservations.nodes[0].state, 'COMMITTED')
  assert.match(reservations.nodes[0].orderRef, /^web-/)
  assert.deepEqual([...page.errors, ...other.errors], [])
})

test('sold out, and back in stock', { skip: noBrowser }, async () => {
  const [page, other] = [await shop.openPage('#/product/22625'), await shop.openPage('#/product/22625')]
  await shows(page, 'Only 3 left')
  await page.getByRole('spinbutton').fill('3')
  await page.getByRole('button', { name: 'Put into the cart' }).click()
  await shows(other, 'Sold out')
  await other.getByRole('button', { name: 'Tell me when it is back' }).click()
  await page.getByRole('button', { name: 'Empty the cart' }).click()
  await shows(other, 'is back in stock')
  await shows(other, 'Only 3 left')
  assert.deepEqual([...page.errors, ...other.errors], [])
})

test('a cart outlives a reload of the page', { skip: noBrowser }, async () => {
  const page = await shop.openPage('#/product/22961')
  await page.getByRole('button', { name: 'Put into the cart' }).click()
  await shows(page, '1 × 22961')
  await page.reload()
  await shows(page, '1 × 22961')
  await page.getByRole('button', { name: 'Put into the cart' }).click()
  await shows(page, '2 × 22961')
  const { stock } = await shop.graphql('{ stock(productId: "22961") { reserved } }')
  assert.equal(stock.reserved, 2)
})
