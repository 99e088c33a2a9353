// Starts Onhand with its demo shop, the order service of examples/orderservice, and the built pages.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { preview } from 'vite'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const startLimitMs = 60_000

const browserPath = process.env.CHROMIUM || '/usr/bin/chromium'
/** The reason to skip the tests, or false. */
export const noBrowser = existsSync(browserPath) ? false : `no Chromium at ${browserPath} (set CHROMIUM to its path)`

// A free port below those that the kernel gives to clients.
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const probe = createServer().listen(port, '127.0.0.1')
    const free = await once(probe, 'listening').then(() => true, () => false)
    if (!free) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
}

async function answers(url, log) {
  const deadline = Date.now() + startLimitMs
  while (Date.now() < deadline) {
    if (await fetch(url).then(() => true, () => false)) return
    await pause(50)
  }
  throw new Error(`${url} does not answer:\n${log()}`)
}

/** Starts everything. Returns the pages' url, graphql(), openPage() and stop(). */
export async function openShop() {
  const folder = mkdtempSync(join(tmpdir(), 'onhand-storefront-'))
  const stops = [() => rmSync(folder, { recursive: true, force: true })]
  const build = (name, from) => {
    const binary = join(folder, name)
    execFileSync('go', ['build', '-o', binary, '.'], { cwd: join(repository, from), stdio: 'inherit' })
    return binary
  }
  const run = async (binary, env, probe) => {
    const child = spawn(binary, [], { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output = (output + chunk).slice(-20_000) })
    const exited = once(child, 'exit')
    stops.unshift(async () => { child.kill('SIGKILL'); await exited })
    await answers(probe, () => output)
  }
  const stop = async () => { for (const end of stops) await end() }
  try {
    const onhand = `http://127.0.0.1:${await freePort()}`
    const orders = `http://127.0.0.1:${await freePort()}`
    await run(build('onhand-server', '.'), { LISTEN_ADDR: new URL(onhand).host, DATABASE_URL: 'sqlite::memory:' }, `${onhand}/readyz`)
    await run(build('orderservice', 'examples/orderservice'), { LISTEN_ADDR: new URL(orders).host, ONHAND_URL: `${onhand}/graphql` }, `${orders}/orders/none`)
    process.env.ONHAND_URL = onhand
    process.env.ORDERS_URL = orders
    const pages = await preview({ root: fileURLToPath(new URL('..', import.meta.url)), preview: { port: await freePort(), strictPort: true }, logLevel: 'warn' })
    stops.unshift(() => pages.close())
    const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] })
    stops.unshift(() => browser.close())
    const url = pages.resolvedUrls.local[0]

    /** Sends one request to Onhand. A top-level error fails the test. */
    const graphql = async (query, variables) => {
      const answer = await fetch(`${onhand}/graphql`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query, variables }) })
      const { data, errors } = await answer.json()
      if (errors) throw new Error(JSON.stringify(errors))
      return data
    }
    /** Opens a page in a browser context of its own: another shopper. */
    const openPage = async (hash) => {
      const context = await browser.newContext({ viewport: { width: 900, height: 900 } })
      const page = await context.newPage()
      const errors = []
      page.on('pageerror', (err) => errors.push(String(err)))
      await page.goto(`${url}${hash}`)
      return Object.assign(page, { errors })
    }
    return { graphql, openPage, stop }
  } catch (err) {
    await stop()
    throw err
  }
}
