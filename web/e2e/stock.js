// GraphQL requests that several tests use.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

export const watchStock = `subscription Watch($id: ID!) {
  stockChanged(productIds: [$id]) { productId quantityAvailable version }
}`;

export const adjustStock = `mutation Adjust($input: AdjustStockInput!) {
  adjustStock(input: $input) {
    stocks { productId quantityAvailable version }
    errors { __typename ... on UserError { message path } }
  }
}`;

/** Returns a product's quantity and version, and an active location with stock of it. */
export async function readStock(graphql, productId) {
  const { stock } = await graphql(
    `query Read($id: ID!) { stock(productId: $id) { quantityAvailable version levels { location { locationId active } } } }`,
    { id: productId },
  );
  assert.ok(stock, `the demo catalogue has ${productId}`);
  const level = stock.levels.find(({ location }) => location.active);
  return { quantity: stock.quantityAvailable, version: stock.version, locationId: level.location.locationId };
}

/** Returns the input of adjustStock for a delivery. */
export const delivery = (productId, locationId, delta) => ({
  input: { idempotencyKey: randomUUID(), reason: 'RECEIVED', rows: [{ productId, locationId, state: 'AVAILABLE', delta }] },
});
