// The few GraphQL calls the tests share.
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

/** What can be sold of a product, and a location it lies at. */
export async function readStock(graphql, productId) {
  const { stock } = await graphql(
    `query Read($id: ID!) { stock(productId: $id) { quantityAvailable version levels { location { locationId active } } } }`,
    { id: productId },
  );
  assert.ok(stock, `the demo catalogue has ${productId}`);
  const level = stock.levels.find(({ location }) => location.active);
  return { quantity: stock.quantityAvailable, version: stock.version, locationId: level.location.locationId };
}

/** The input of a delivery of some units. */
export const delivery = (productId, locationId, delta) => ({
  input: { idempotencyKey: randomUUID(), reason: 'RECEIVED', rows: [{ productId, locationId, state: 'AVAILABLE', delta }] },
});
