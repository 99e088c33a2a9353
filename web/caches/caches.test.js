// The caches that shops use, against the real server. Each cache has a product of its own.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { startServer } from '../e2e/server.js';
import { apollo } from './clients/apollo.js';
import { relay } from './clients/relay.js';
import { urql } from './clients/urql.js';
import { keepsViewsApart } from './scenario.js';

let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

for (const [connect, product] of [[apollo, '22423'], [urql, '85123A'], [relay, '85099B']]) {
  test(`${connect.name}: two views of one product stay apart while both are pushed, and never go back`, { timeout: 60_000 }, (t) => keepsViewsApart(t, server, connect, product));
}

test('docs/clients.md shows the settings of these tests', () => {
  const page = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8');
  for (const file of ['newest.js', 'apollo.js', 'urql.js', 'relay.js']) {
    const settings = readFileSync(new URL(file, import.meta.url), 'utf8');
    assert.ok(page.includes(settings.trim()), `${file} as it is`);
  }
});
