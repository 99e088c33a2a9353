// The subgraph composes with those of other teams. docs/federation.md shows how a gateway team does the same.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { composeServices as apollo } from '@apollo/composition';
import { composeServices as guild, transformSupergraphToPublicSchema } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { schema } from './schema.js';

const subgraph = (name, text) => ({ name, url: `http://${name}.example/graphql`, typeDefs: parse(text) });
const file = (name) => subgraph(name, readFileSync(new URL(`${name}.graphql`, import.meta.url), 'utf8'));

/** Composes with both libraries. Returns the schema that clients see, and the supergraph. */
function compose(...subgraphs) {
  const [one, other] = [apollo(subgraphs), guild(subgraphs)];
  assert.deepEqual(one.errors?.map((e) => e.message), undefined);
  assert.deepEqual(other.errors?.map((e) => e.message), undefined);
  assert.deepEqual(one.hints.map((hint) => hint.message), []);
  const [first, second] = [one, other].map((composed) => transformSupergraphToPublicSchema(parse(composed.supergraphSdl)));
  const types = (document) => Object.fromEntries(document.definitions.filter((d) => d.kind.endsWith('TypeDefinition')).map((d) => [d.name.value, fields(d)]));
  assert.deepEqual(types(first), types(second), 'both libraries make the same schema');
  return { types: types(first), supergraph: one.supergraphSdl };
}

const shown = (type) => (type.kind === 'NonNullType' ? `${shown(type.type)}!` : type.kind === 'ListType' ? `[${shown(type.type)}]` : type.name.value);
const fields = (definition) => Object.fromEntries((definition.fields ?? []).map((field) => [field.name.value, shown(field.type)]));

describe('composition', () => {
  let onhand, full;
  before(() => { [onhand, full] = [schema('--federation'), schema('--federation', '--full')]; });

  test('the catalogue has the titles and the lists, Onhand the stock', () => {
    const { types, supergraph } = compose(subgraph('onhand', onhand), file('catalogue'));
    assert.equal(types.Product.title, 'String!');
    assert.equal(types.Product.stock, 'Stock');
    assert.equal(types.Product.tracked, 'Boolean');
    assert.equal(types.Product.version, undefined);
    assert.equal(types.Query.products, '[Product!]!');
    assert.equal(types.Query.stocks, '[Stock]');
    assert.equal(types.Reservation.serverTime, undefined, 'inaccessible');
    assert.ok(types.Subscription.stockChanged);
    assert.match(supergraph, /reserved: Int .*@requiresScopes\(scopes: \[\["read:inventory"\]\]/);
    assert.match(supergraph, /claimReservation\([^)]*\): ReservationPayload .*@authenticated/);
    assert.match(supergraph, /serverTime: Time .*@cost\(weight: 500\)/);
  });

  test('shops join on the own id of a location, and orders keep a reservation', () => {
    const { types } = compose(subgraph('onhand', onhand), file('catalogue'), file('shops'));
    assert.equal(types.Location.openingHours, 'String!');
    assert.equal(types.Location.name, 'String');
    assert.equal(types.Order.reservation, 'Reservation');
    assert.equal(types.Reservation.state, 'ReservationState!');
  });

  test('a server that is the catalogue itself', () => {
    const { types } = compose(subgraph('onhand', full), file('reviews'));
    assert.equal(types.Product.title, 'String');
    assert.equal(types.Product.stars, 'Int');
    assert.equal(types.Query.products, 'ProductConnection');
    assert.equal(types.Query.node, 'Node');
    const refused = apollo([subgraph('onhand', full), file('catalogue')]);
    assert.ok(refused.errors.some((error) => error.message.includes('title')), 'two catalogues do not compose');
  });
});
