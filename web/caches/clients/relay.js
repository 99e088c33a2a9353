import runtime from 'relay-runtime';
import { orderedNetwork } from '../relay.js';
import readView from '../relay/artifacts/documentsReadViewQuery.graphql.js';
import watchStatus from '../relay/artifacts/documentsWatchStatusSubscription.graphql.js';
import watchView from '../relay/artifacts/documentsWatchViewSubscription.graphql.js';

const { createOperationDescriptor, Environment, fetchQuery, Observable, RecordSource, requestSubscription, Store } = runtime;

export function relay({ url, socket, fetch, order }) {
  const ask = async ({ text }, variables) => {
    const headers = { 'Content-Type': 'application/json' };
    return (await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query: text, variables }) })).json();
  };
  const subscribe = ({ text }, variables) => Observable.create((sink) => socket.subscribe({ query: text, variables }, sink));
  const environment = new Environment({ network: orderedNetwork(ask, subscribe, order), store: new Store(new RecordSource()) });
  const open = [];
  const read = (variables) => fetchQuery(environment, readView, variables, { fetchPolicy: 'network-only' }).toPromise();
  return {
    show: (variables, show) => {
      const operation = createOperationDescriptor(readView, variables);
      open.push(environment.retain(operation));
      read(variables).then(() => {
        const snapshot = environment.lookup(operation.fragment);
        show(snapshot.data.stock);
        open.push(environment.subscribe(snapshot, ({ data }) => show(data.stock)));
      });
    },
    read,
    watch: (variables) => open.push(requestSubscription(environment, { subscription: watchView, variables })),
    watchStatus: (variables, next) => open.push(requestSubscription(environment, {
      subscription: watchStatus, variables, onNext: ({ stockStatusChanged }) => next(stockStatusChanged),
    })),
    stop: () => open.forEach((subscription) => subscription.dispose()),
  };
}
