// The subgraph of a catalogue: titles of products, in memory.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { graphql, parse } from 'graphql';
import { freePort } from '../e2e/server.js';

export const typeDefs = parse(readFileSync(new URL('../federation/catalogue.graphql', import.meta.url), 'utf8'));

const product = (id) => ({ __typename: 'Product', id, title: `Title of ${id}` });

const schema = buildSubgraphSchema({
  typeDefs,
  resolvers: {
    Query: {
      products: (_, { ids }) => ids.map(product),
      product: (_, { id }) => product(id),
    },
    Node: { __resolveType: () => 'Product' },
    Product: { __resolveReference: ({ id }) => product(id) },
  },
});

/** Serves the catalogue. Returns url and stop(). */
export async function startCatalogue() {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { query, variables, operationName } = JSON.parse(Buffer.concat(chunks).toString());
    const answer = await graphql({ schema, source: query, variableValues: variables, operationName });
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(answer));
  });
  server.listen(await freePort(), '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/graphql`,
    stop: () => { server.closeAllConnections(); server.close(); },
  };
}
