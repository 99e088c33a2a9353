import { Client, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { orderedCache } from '../urql.js';
import { readView, watchStatus, watchView } from '../views.js';

export function urql({ url, socket, fetch, order, schema }) {
  const client = new Client({
    url,
    fetch,
    exchanges: [
      ...orderedCache(schema, order),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query: query ?? '', variables }, sink) }),
        }),
      }),
    ],
  });
  const open = [];
  return {
    show: (variables, show) => open.push(client.query(gql(readView), variables).subscribe(({ data }) => show(data?.stock))),
    read: (variables) => client.query(gql(readView), variables, { requestPolicy: 'network-only' }).toPromise(),
    watch: (variables) => open.push(client.subscription(gql(watchView), variables).subscribe(() => {})),
    watchStatus: (variables, next) => open.push(
      client.subscription(gql(watchStatus), variables).subscribe(({ data }) => data && next(data.stockStatusChanged)),
    ),
    stop: () => open.forEach((subscription) => subscription.unsubscribe()),
  };
}
