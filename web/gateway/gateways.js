// Two gateways over the same supergraph, with the settings of docs/federation.md.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { createGatewayRuntime, getGraphQLWSOptions } from '@graphql-hive/gateway-runtime';
import { parse } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { freePort } from '../e2e/server.js';

/** Apollo's gateway, with the key of a gateway where it is given. Returns query(document, variables, authorization) and stop(). */
export async function apolloGateway(supergraph, key) {
  // docs/federation.md: apollo gateway
  class ForwardsToken extends RemoteGraphQLDataSource {
    willSendRequest({ request, context }) {
      if (context.authorization) request.http.headers.set('authorization', context.authorization);
    }
  }
  const gateway = new ApolloGateway({
    supergraphSdl: supergraph,
    buildService: ({ url }) => new ForwardsToken({ url }),
  });
  // end
  // docs/federation.md: apollo key
  class SendsKey extends ForwardsToken {
    willSendRequest(options) {
      super.willSendRequest(options);
      options.request.http.headers.set('onhand-gateway-key', key);
    }
  }
  // end
  const keyed = new ApolloGateway({
    supergraphSdl: supergraph,
    buildService: ({ name, url }) => (name === 'onhand' ? new SendsKey({ url }) : new ForwardsToken({ url })),
  });
  const { executor, schema } = await (key ? keyed : gateway).load();
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const query = async (source, variables = {}, authorization = undefined) => {
    const document = parse(source);
    const answer = await executor({
      document, schema, logger, request: { query: source, variables, http: undefined }, operationName: null, queryHash: source,
      context: { authorization }, metrics: {}, overallCachePolicy: { restrict() {} }, cache: undefined,
    });
    return JSON.parse(JSON.stringify(answer));
  };
  return { query, stop: () => (key ? keyed : gateway).stop() };
}

/**
 * The Guild's gateway, on a free port or the given one, for clients over HTTP, event streams and WebSockets. socket is the
 * URL of Onhand for subscriptions; without it they are event streams. key is that of a gateway. Returns url, port, query(document, variables,
 * authorization) and stop().
 */
export async function hiveGateway(supergraph, { socket, port: onPort, key } = {}) {
  // docs/federation.md: hive gateway
  const overSockets = {
    onhand: {
      options: {
        subscriptions: {
          kind: 'ws',
          location: socket,
          options: { connectionParams: { authorization: '{context.headers.authorization}', onRefusal: 'error' } },
        },
      },
    },
  };
  const settings = {
    supergraph,
    propagateHeaders: {
      fromClientToSubgraphs: ({ context }) => ({ authorization: context.headers.authorization }),
    },
    transportEntries: socket ? overSockets : {},
    // end
    logging: false,
    maskedErrors: false,
  };
  // docs/federation.md: hive key
  const withKey = {
    fromClientToSubgraphs: ({ context, subgraphName }) => ({
      authorization: context.headers.authorization,
      ...(subgraphName === 'onhand' && { 'onhand-gateway-key': key }),
    }),
  };
  // end
  if (key) {
    settings.propagateHeaders = withKey;
    // docs/federation.md: hive key of sockets
    overSockets.onhand.options.subscriptions.headers = [['onhand-gateway-key', key]];
    // end
  }
  const gateway = createGatewayRuntime(settings);
  await gateway.getSchema(); // a WebSocket does not wait for it
  const server = createServer(gateway);
  const port = onPort ?? await freePort();
  // docs/federation.md: hive sockets
  const sockets = useServer(
    getGraphQLWSOptions(gateway, ({ extra }) => ({ req: extra.request, socket: extra.socket, request: new Request(url) })),
    new WebSocketServer({ server, path: '/graphql' }),
  );
  // end
  const url = `http://127.0.0.1:${port}/graphql`;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const query = async (source, variables = {}, authorization = undefined) => {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(authorization && { authorization }) },
      body: JSON.stringify({ query: source, variables }),
    });
    return answer.json();
  };
  const stop = async () => {
    await sockets.dispose();
    server.closeAllConnections();
    server.close();
    await gateway[Symbol.asyncDispose]();
  };
  return { url, port, query, stop };
}
