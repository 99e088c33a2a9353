// Gateways beside browsers, at an Onhand that executes the documents of a manifest only: what docs/federation.md promises.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { schema } from '../federation/schema.js';
import { apolloGateway, hiveGateway } from './gateways.js';
import { bearer, cap, merchant, startShop } from './shop.js';

const ids = ['DOC-1', 'DOC-2'];
const key = randomBytes(32).toString('hex');
const manifest = { stock: 'query($id: ID!) { stock(productId: $id) { quantityAvailable } }' };
const pageQuery = 'query($ids: [ID!]!) { products(ids: $ids) { title stock { quantityAvailable } } }';

describe('trusted documents', { timeout: 180_000 }, () => {
  let shop, gateways;
  const folder = mkdtempSync(join(tmpdir(), 'onhand-documents-'));

  before(async () => {
    const [manifestFile, keyFile] = [join(folder, 'manifest.json'), join(folder, 'key')];
    writeFileSync(manifestFile, JSON.stringify(manifest));
    writeFileSync(keyFile, key);
    const settings = { TRUSTED_DOCUMENTS: manifestFile, TRUSTED_DOCUMENTS_ONLY: 'on', GATEWAY_KEY_FILE: keyFile };
    shop = await startShop(ids, settings, { 'Onhand-Gateway-Key': key });
    const withoutAccess = shop.compose(schema('--federation', '--without-access'));
    gateways = {
      apollo: await apolloGateway(withoutAccess, key), 'apollo without the key': await apolloGateway(withoutAccess),
      hive: await hiveGateway(shop.supergraph, { key }), 'hive with sockets': await hiveGateway(shop.supergraph, { key, socket: shop.url }),
      'hive without the key': await hiveGateway(shop.supergraph), 'hive with another key': await hiveGateway(shop.supergraph, { key: `${key}0` }),
    };
  });
  after(async () => {
    for (const gateway of Object.values(gateways ?? {})) await gateway.stop();
    await shop?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Asks Onhand itself, as a browser does. */
  const ask = async (body, headers = {}) => {
    const answer = await fetch(shop.url, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(body) });
    return answer.json();
  };
  const codes = ({ errors = [] }) => [...new Set(errors.map((error) => error.extensions?.code))];

  test('browsers send the documents of the manifest, and no others', async () => {
    assert.equal((await ask({ documentId: 'stock', variables: { id: ids[0] } })).data.stock.quantityAvailable, cap);
    const entities = { query: 'query($r: [_Any!]!) { _entities(representations: $r) { ... on Product { id } } }', variables: { r: [{ __typename: 'Product', id: ids[0] }] } };
    for (const headers of [{}, { authorization: bearer('alice') }, { authorization: merchant }, { 'onhand-gateway-key': 'x'.repeat(64) }]) {
      assert.deepEqual(codes(await ask(entities, headers)), ['FORBIDDEN'], JSON.stringify(headers));
    }
    assert.deepEqual((await ask(entities, { authorization: bearer('operator', 'admin') })).data._entities, [{ id: ids[0] }]);
  });

  for (const name of ['apollo', 'hive']) {
    test(`${name}: its own documents need the key, which is no token`, async () => {
      for (const [authorization, quantity] of [[undefined, cap], [bearer('alice'), cap], [merchant, 40]]) {
        const { data, errors } = await gateways[name].query(pageQuery, { ids }, authorization);
        assert.equal(errors, undefined);
        assert.deepEqual(data.products, ids.map((id) => ({ title: `Title of ${id}`, stock: { quantityAvailable: quantity } })));
        assert.equal(shop.recorder.requests.at(-1).key, key);
        assert.equal(shop.recorder.requests.at(-1).authorization, authorization);
      }
      const refused = await gateways[name].query('{ products(ids: ["DOC-1"]) { stock { reserved } } }', {}, bearer('alice'));
      assert.deepEqual(codes(refused), ['FORBIDDEN'], 'the key grants no scope');
      for (const without of Object.keys(gateways).filter((other) => other.startsWith(`${name} with`) && !other.includes('sockets'))) {
        const { data, errors } = await gateways[without].query(pageQuery, { ids }, merchant);
        assert.deepEqual(data.products, ids.map((id) => ({ title: `Title of ${id}`, stock: null })), without);
        assert.match(JSON.stringify(errors), /FORBIDDEN/, without);
      }
    });
  }

  test('subscriptions of a gateway with the key, over event streams and WebSockets', async () => {
    for (const name of ['hive', 'hive with sockets']) {
      const answer = await fetch(gateways[name].url, {
        method: 'POST', headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' }, signal: AbortSignal.timeout(30_000),
        body: JSON.stringify({ query: `subscription { stockChanged(productIds: ["${ids[1]}"]) { quantityAvailable product { title } } }` }),
      });
      let text = '';
      for await (const chunk of answer.body) {
        text += Buffer.from(chunk).toString();
        if (text.includes('quantityAvailable') || text.includes('errors')) break;
      }
      assert.match(text, new RegExp(`"quantityAvailable":${cap},"product":\\{"title":"Title of ${ids[1]}"`), name);
    }
  });
});
