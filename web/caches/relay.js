import relay from 'relay-runtime';

// In place of Network.create(fetchQuery, subscribe)
export const orderedNetwork = (fetchQuery, subscribe, order) => relay.Network.create(
  async (...request) => order(await fetchQuery(...request)),
  (...request) => subscribe(...request).map(order),
);
