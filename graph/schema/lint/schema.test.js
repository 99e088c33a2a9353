import assert from 'node:assert/strict'
import { test } from 'node:test'
import { breaking, now } from './diff.js'
import { eslint, exceptions } from './eslint.js'

test('a breaking change is found', () => {
  const schema = now()
  assert.deepEqual(breaking(schema, schema), [])
  const changes = [
    ['  quantityAvailable: Int', '  quantity: Int', /Stock\.quantityAvailable was removed/],
    ['  productIds: [ID!]!', '  productIds: [ID!]!\n  shop: ID!', /required arg(ument)? shop/i],
    ['  OUT_OF_STOCK\n', '  SOLD_OUT\n', /OUT_OF_STOCK was removed from enum type StockStatus/],
  ]
  for (const [from, to, expected] of changes) {
    assert.ok(schema.includes(from), from)
    const found = breaking(schema, schema.replace(from, to)).join('\n')
    assert.match(found, expected)
  }
})

test('the linter finds what breaks its rules', async () => {
  const [{ messages }] = await eslint().lintText('type thing { Name: String }', { filePath: 'planted.graphqls' })
  const rules = messages.map(({ ruleId }) => ruleId)
  assert.ok(rules.includes('@graphql-eslint/naming-convention'), rules.join())
  assert.ok(rules.includes('@graphql-eslint/require-description'), rules.join())
  for (const reason of Object.values(exceptions)) assert.ok(reason.length > 10)
})
