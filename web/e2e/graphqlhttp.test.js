// The audits of graphql-http: the GraphQL-over-HTTP specification, rule by rule.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { auditServer } from 'graphql-http';
import { startServer } from './server.js';

let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

test('every audit of graphql-http passes', { timeout: 60_000 }, async () => {
  const results = await auditServer({ url: `${server.url}/graphql` });
  const count = (word) => results.filter(({ name }) => name.startsWith(word)).length;
  assert.deepEqual({ MUST: count('MUST'), SHOULD: count('SHOULD'), MAY: count('MAY') }, { MUST: 13, SHOULD: 23, MAY: 25 });
  const failed = results.filter(({ status }) => status !== 'ok').map(({ id, name, reason }) => `${id} ${name}: ${reason}`);
  assert.deepEqual(failed, []);
});
