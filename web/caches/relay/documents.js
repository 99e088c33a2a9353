// The documents of views.js for Relay's compiler. After a change write the artifacts anew, in web/caches:
//   curl -s http://127.0.0.1:8080/schema.graphql -o schema.graphql && npx relay-compiler@21.0.1 && rm schema.graphql
import { graphql } from 'relay-runtime';

export const readView = graphql`
  query documentsReadViewQuery($id: ID!, $channel: ID) {
    stock(productId: $id, channel: $channel) {
      id productId quantityAvailable status version
      levels { id available version location { id name } }
      product { id title version }
    }
  }
`;

export const watchView = graphql`
  subscription documentsWatchViewSubscription($id: ID!, $channel: ID) {
    stockChanged(productIds: [$id], channel: $channel) {
      id productId quantityAvailable status version
      levels { id available version location { id name } }
      product { id title version }
    }
  }
`;

export const watchStatus = graphql`
  subscription documentsWatchStatusSubscription($id: ID!) {
    stockStatusChanged(productIds: [$id]) {
      productId status previousStatus version occurredAt
      stock { id status version }
    }
  }
`;
