// What the clients ask for. Relay has the same as artifacts of its compiler: see relay/documents.js.
const fields = `
  id productId quantityAvailable status version
  levels { id available version location { id name } }
  product { id title version }`;

export const readView = `query ReadView($id: ID!, $channel: ID) { stock(productId: $id, channel: $channel) { ${fields} } }`;

export const watchView = `subscription WatchView($id: ID!, $channel: ID) { stockChanged(productIds: [$id], channel: $channel) { ${fields} } }`;

export const watchStatus = `subscription WatchStatus($id: ID!) {
  stockStatusChanged(productIds: [$id]) { productId status previousStatus version occurredAt stock { id status version } }
}`;
