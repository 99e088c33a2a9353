import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { OperationTypeNode } from 'graphql';
import { orderLink } from '../apollo.js';
import { readView, watchStatus, watchView } from '../views.js';

export function apollo({ url, socket, fetch, order }) {
  const isSubscription = ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION;
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.from([orderLink(order), ApolloLink.split(isSubscription, new GraphQLWsLink(socket), new HttpLink({ uri: url, fetch }))]),
  });
  const open = [];
  return {
    show: (variables, show) => open.push(
      client.watchQuery({ query: gql(readView), variables }).subscribe(({ data }) => show(data?.stock)),
    ),
    read: (variables) => client.query({ query: gql(readView), variables, fetchPolicy: 'network-only' }),
    watch: (variables) => open.push(client.subscribe({ query: gql(watchView), variables }).subscribe(() => {})),
    watchStatus: (variables, next) => open.push(
      client.subscribe({ query: gql(watchStatus), variables }).subscribe(({ data }) => next(data.stockStatusChanged)),
    ),
    stop: () => { open.forEach((subscription) => subscription.unsubscribe()); client.stop(); },
  };
}
