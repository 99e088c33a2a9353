// The TypeScript and JavaScript of docs/clients.md: its types are checked, and it runs against the real server.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gql } from '@apollo/client';
import ts from 'typescript';
import WebSocket from 'ws';
import { startServer } from '../e2e/server.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const page = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8');
const limit = { timeout: 120_000 };

// Each snippet by words that only it has. The settings of graphql-codegen are run by examples/storefront/test/page.test.js.
const marks = {
  'apollo.ts': 'new ApolloClient', 'socket.ts': 'lazyCloseTimeout', 'tokens.ts': 'newToken', 'urql.ts': 'new Client(', 'relay.ts': 'new Environment',
  'tabs.ts': 'navigator.locks', 'order.js': "import { keepNewest } from './newest'", 'codegen.ts': 'CodegenConfig',
};
const settings = ['newest.js', 'apollo.js', 'urql.js', 'relay.js'];
const declarations = 'declare function newToken(): Promise<{ text: string; expiresAt: number } | null>;\n';

const snippets = [...page.matchAll(/^```(?:ts|js)\n(.*?)^```$/gms)].map(([, text]) => text);
const snippet = (name) => {
  const found = snippets.filter((text) => text.includes(marks[name]));
  assert.equal(found.length, 1, name);
  return found[0];
};

let server;
let folder;
before(async () => {
  server = await startServer();
  folder = mkdtempSync(`${here}snippets-`);
  globalThis.WebSocket ??= WebSocket;
});
after(() => {
  server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('every snippet of docs/clients.md is tested', () => {
  const files = settings.map((file) => readFileSync(`${here}${file}`, 'utf8').trim());
  for (const text of snippets) {
    const named = Object.keys(marks).filter((name) => text.includes(marks[name]));
    assert.ok(named.length === 1 || files.some((file) => file === text.trim()), `nothing runs this snippet:\n${text}`);
  }
});

test('the types are right', limit, () => {
  const names = Object.keys(marks).filter((name) => name.endsWith('.ts') && name !== 'codegen.ts');
  for (const name of names) writeFileSync(`${folder}/${name}`, snippet(name));
  writeFileSync(`${folder}/declarations.d.ts`, declarations);
  const program = ts.createProgram([...names, 'declarations.d.ts'].map((name) => `${folder}/${name}`), {
    strict: true, noEmit: true, skipLibCheck: true, types: [],
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
  });
  const problems = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
  assert.deepEqual(problems, []);
});

// Makes a module of a snippet that Node.js runs, beside the modules that it imports.
async function load(name) {
  const text = snippet(name)
    .replaceAll('http://127.0.0.1:8080', server.url)
    .replaceAll(/wss?:\/\/(127\.0\.0\.1:8080|stock\.example\.com)/g, server.url.replace('http', 'ws'))
    .replaceAll(/'(\.\/\w+)'/g, "'$1.js'")
    .replace(/import (\{.*?\}) from 'relay-runtime'/, "import relay from 'relay-runtime'\nconst $1 = relay"); // CommonJS
  const { outputText } = ts.transpileModule(text, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } });
  const path = `${folder}/${name.replace('.ts', '.js')}`;
  writeFileSync(path, outputText);
  return import(pathToFileURL(path));
}

const question = '{ stock(productId: "22423") { quantityAvailable } }';
const subscription = 'subscription { stockChanged(productIds: ["22423"]) { quantityAvailable } }';
const quantity = async () => (await server.graphql(question)).stock.quantityAvailable;

test('graphql-ws, with and without tokens', limit, async () => {
  globalThis.newToken = async () => null; // this server checks none; web/e2e/tokens.test.js has one that does
  for (const name of ['socket.ts', 'tokens.ts']) {
    const { socket } = await load(name);
    const events = socket.iterate({ query: subscription });
    assert.deepEqual((await events.next()).value.data.stockChanged, { quantityAvailable: await quantity() }, name);
    await events.return();
    if (name !== 'socket.ts') await socket.dispose(); // the next tests use the other
  }
});

test('Apollo Client', limit, async () => {
  const { client } = await load('apollo.ts');
  const { data } = await client.query({ query: gql(question) });
  assert.equal(data.stock.quantityAvailable, await quantity());
  const event = await new Promise((next, error) => client.subscribe({ query: gql(subscription) }).subscribe({ next, error }));
  assert.equal(event.data.stockChanged.quantityAvailable, await quantity());
  client.stop();
});

test('urql', limit, async () => {
  const { client } = await load('urql.ts');
  const { data, error } = await client.query(question, {}).toPromise();
  assert.equal(error, undefined);
  assert.equal(data.stock.quantityAvailable, await quantity());
  const event = await new Promise((resolve) => { const { unsubscribe } = client.subscription(subscription, {}).subscribe((result) => { resolve(result); queueMicrotask(() => unsubscribe()); }); });
  assert.equal(event.data.stockChanged.quantityAvailable, await quantity());
});

test('Relay', limit, async () => {
  const { environment } = await load('relay.ts');
  const network = environment.getNetwork();
  const { data } = await network.execute({ text: question, name: null, operationKind: 'query' }, {}, {}).toPromise();
  assert.equal(data.stock.quantityAvailable, await quantity());
  const event = await network.execute({ text: subscription, name: null, operationKind: 'subscription' }, {}, {}).toPromise();
  assert.equal(event.data.stockChanged.quantityAvailable, await quantity());
});

test('one socket for all tabs', limit, async () => {
  globalThis.BroadcastChannel = class extends BroadcastChannel {
    constructor(name) {
      super(name);
      this.unref();
    }
  };
  Object.defineProperty(globalThis, 'navigator', { value: { locks: { request: (_name, elected) => elected() } }, configurable: true });
  const { watchStock } = await load('tabs.ts');
  const stock = await new Promise((show) => watchStock('22423', show));
  assert.equal(stock.quantityAvailable, await quantity());
});

test('the order of answers', limit, async () => {
  writeFileSync(`${folder}/newest.js`, readFileSync(`${here}newest.js`));
  const { order, forgetAfterReconnect } = await load('order.js');
  assert.equal(typeof forgetAfterReconnect, 'function');
  order({ data: { stock: { id: 'a', version: 2, quantityAvailable: 7 } } });
  assert.equal(order({ data: { stock: { id: 'a', version: 1, quantityAvailable: 9 } } }).data.stock.quantityAvailable, 7);
  const { socket } = await import(pathToFileURL(`${folder}/socket.js`));
  await socket.dispose();
  assert.ok(readdirSync(folder).length > 10);
});
