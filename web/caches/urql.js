import { mapExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';

// Types without an id stay inside the object that has them. schema is what the plugin introspection of graphql-codegen writes.
const hasId = (type) => type.fields?.some(({ name }) => name === 'id');
const keysOf = ({ __schema: { types } }) => Object.fromEntries(
  types.filter((type) => type.kind === 'OBJECT' && !hasId(type)).map(({ name }) => [name, () => null]),
);

// In place of cacheExchange, before all other exchanges: exchanges: [...orderedCache(schema, order), fetchExchange, ...]
export const orderedCache = (schema, order) => [cacheExchange({ schema, keys: keysOf(schema) }), mapExchange({ onResult: order })];
