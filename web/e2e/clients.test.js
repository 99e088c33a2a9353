// The links of Apollo Client and the exchanges of urql, with the settings of docs/clients.md.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, InMemoryCache, gql } from '@apollo/client';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { HttpLink } from '@apollo/client/link/http';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { startServer } from './server.js';
import { adjustStock, delivery, readStock, watchStock } from './stock.js';

const limit = { timeout: 30_000 };
let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

const sha256 = async (text) => Buffer.from(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))).toString('hex');

/** As Promise.withResolvers, which Node 20 lacks. */
function withResolvers() {
  const settle = {};
  settle.promise = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
  return settle;
}

/** A fetch that keeps what was sent and answered. */
function recorder() {
  const calls = [];
  const record = async (url, options) => {
    const answer = await fetch(url, options);
    calls.push({
      method: options.method, body: options.body && JSON.parse(options.body), headers: options.headers,
      status: answer.status, type: answer.headers.get('content-type'),
    });
    return answer;
  };
  return { calls, fetch: record };
}

const socketClient = () => createClient({ url: `${server.url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, shouldRetry: () => true });

function apollo(terminating, socket) {
  const http = ApolloLink.from([new PersistedQueryLink({ sha256 }), terminating]);
  return new ApolloClient({
    cache: new InMemoryCache(),
    defaultOptions: { query: { fetchPolicy: 'no-cache' } },
    link: socket ? ApolloLink.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, new GraphQLWsLink(socket), http) : http,
  });
}

test('Apollo: hashes in an array, registered after a miss, then hits; mutations; a subscription', limit, async () => {
  const { calls, fetch } = recorder();
  const socket = socketClient();
  const client = apollo(new BatchHttpLink({ uri: `${server.url}/graphql`, fetch, batchMax: 10, batchInterval: 10 }), socket);
  const one = gql`query One($id: ID!) { stock(productId: $id) { quantityAvailable } }`;
  const two = gql`query Two { locations { locationId } }`;
  const ask = () => Promise.all([client.query({ query: one, variables: { id: '22423' } }), client.query({ query: two })]);

  const [stock, locations] = await ask();
  assert.equal(stock.error, undefined);
  assert.equal(stock.data.stock.quantityAvailable, (await readStock(server.graphql, '22423')).quantity);
  assert.ok(locations.data.locations.length > 0);
  assert.deepEqual(calls.map(({ body, status }) => [body.length, body.filter(({ query }) => query).length, status]), [[2, 0, 200], [2, 2, 200]]);

  calls.length = 0;
  await ask();
  assert.deepEqual(calls.map(({ body }) => [body.length, body.filter(({ query }) => query).length]), [[2, 0]], 'the hashes are known');

  const start = await readStock(server.graphql, '47566');
  const changes = [];
  const { promise, resolve, reject } = withResolvers();
  const subscription = client.subscribe({ query: gql(watchStock), variables: { id: '47566' } }).subscribe({
    next: ({ data, error }) => {
      if (error) return reject(error);
      changes.push(data.stockChanged.quantityAvailable);
      if (changes.length === 1) write().catch(reject);
      if (data.stockChanged.quantityAvailable === start.quantity + 5) resolve();
    },
    error: reject,
  });
  const write = async () => {
    const mutation = gql(adjustStock);
    await Promise.all([2, 3].map((delta) => client.mutate({ mutation, variables: delivery('47566', start.locationId, delta) })));
  };
  await promise;
  assert.equal(changes[0], start.quantity);
  subscription.unsubscribe();
  await socket.dispose();
  client.stop();
});

test('Apollo: hashes by GET, and an error of the document', limit, async () => {
  const { calls, fetch } = recorder();
  const http = new HttpLink({ uri: `${server.url}/graphql`, fetch });
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.from([new PersistedQueryLink({ sha256, useGETForHashedQueries: true }), http]),
    defaultOptions: { query: { fetchPolicy: 'no-cache' } },
  });
  const query = gql`query Names { locations { name locationId } }`;
  for (const methods of [['GET', 'GET'], ['GET']]) {
    calls.length = 0;
    const { data } = await client.query({ query });
    assert.ok(data.locations.length > 0);
    assert.deepEqual(calls.map(({ method }) => method).slice(0, 1), methods.slice(0, 1));
    assert.equal(calls.length, methods.length);
  }
  await assert.rejects(client.query({ query: gql`{ price }` }), (error) => CombinedGraphQLErrors.is(error) && /Cannot query field "price"/.test(error.message));
  client.stop();
});

const urql = (exchanges, options) => new Client({ url: `${server.url}/graphql`, exchanges, requestPolicy: 'network-only', preferGetMethod: false, ...options });

test('urql: JSON for a query, an event stream for a subscription, with one Accept list', limit, async () => {
  const { calls, fetch } = recorder();
  const client = urql([fetchExchange], { fetch, fetchSubscriptions: true });
  const start = await readStock(server.graphql, '84879');
  const { data, error } = await client.query('{ stock(productId: "84879") { quantityAvailable } }', {}).toPromise();
  assert.equal(error, undefined);
  assert.equal(data.stock.quantityAvailable, start.quantity);
  assert.match(calls[0].headers.accept, /application\/json.*text\/event-stream/);
  assert.match(calls[0].type, /^application\/graphql-response\+json/);

  const quantities = [];
  const { promise, resolve, reject } = withResolvers();
  const { unsubscribe } = client.subscription(watchStock, { id: '84879' }).subscribe((result) => {
    if (result.error) return reject(result.error);
    quantities.push(result.data.stockChanged.quantityAvailable);
    if (quantities.length === 1) client.mutation(adjustStock, delivery('84879', start.locationId, 7)).toPromise().catch(reject);
    if (quantities.at(-1) === start.quantity + 7) resolve();
  });
  await promise;
  assert.equal(quantities[0], start.quantity);
  assert.match(calls[1].type, /^text\/event-stream/);
  unsubscribe();
});

test('urql: hashes, also of mutations, and a subscription over a WebSocket', limit, async () => {
  const { calls, fetch } = recorder();
  const socket = socketClient();
  const client = urql([
    persistedExchange({ enableForMutation: true }),
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query || '' }, sink) }),
      }),
    }),
  ], { fetch });
  const document = `query Mine${randomUUID().replaceAll('-', '')} { locations { locationId } }`;
  for (const requests of [2, 1]) {
    calls.length = 0;
    const { data, error } = await client.query(document, {}).toPromise();
    assert.equal(error, undefined);
    assert.ok(data.locations.length > 0);
    assert.equal(calls.length, requests);
    assert.ok(calls.every(({ status }) => status === 200));
  }
  const start = await readStock(server.graphql, '85123A');
  const written = await client.mutation(adjustStock, delivery('85123A', start.locationId, 1)).toPromise();
  assert.deepEqual(written.data.adjustStock.errors, []);
  const { promise, resolve } = withResolvers();
  const { unsubscribe } = client.subscription(watchStock, { id: '85123A' }).subscribe(resolve);
  const { data } = await promise;
  assert.equal(data.stockChanged.quantityAvailable, start.quantity + 1);
  unsubscribe();
  await socket.dispose();
});
