// The settings of graphql-codegen in docs/clients.md make types of an operation of this shop.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const top = fileURLToPath(new URL('..', import.meta.url))

test('the settings of docs/clients.md', { timeout: 120_000 }, () => {
  const page = readFileSync(`${top}../../docs/clients.md`, 'utf8')
  const settings = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text).filter((text) => text.includes('CodegenConfig'))
  assert.equal(settings.length, 1)
  const folder = mkdtempSync(`${top}page-`)
  try {
    mkdirSync(`${folder}/src`)
    writeFileSync(`${folder}/src/stock.graphql`, 'query One($id: ID!) { stock(productId: $id) { quantityAvailable version asOf } }')
    writeFileSync(`${folder}/codegen.ts`, settings[0].replace("'http://127.0.0.1:8080/schema.graphql'", "'../../../graph/schema/*.graphqls'"))
    execFileSync('npx', ['--no-install', 'graphql-codegen', '--config', 'codegen.ts'], { cwd: folder, stdio: 'pipe' })
    assert.match(readFileSync(`${folder}/src/gql/graphql.ts`, 'utf8'), /version: number/)
    assert.ok(JSON.parse(readFileSync(`${folder}/src/possible-types.json`, 'utf8')).possibleTypes.UserError.includes('InsufficientStockError'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
