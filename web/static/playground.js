// Starts GraphiQL on this server's own endpoint, with the sample operations in
// tabs. The page carries endpoint and operations as JSON, so that no script has
// to stand in it.
(() => {
  'use strict';
  // The name under which the bundle looks for the page's nonce, for the styles it adds.
  globalThis.__webpack_nonce__ = document.currentScript.nonce;

  const { endpoint, operations } = JSON.parse(document.getElementById('config').textContent);
  const url = new URL(endpoint, location.href);
  const socketURL = new URL(url);
  socketURL.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';

  const playground = React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({
      url: url.href,
      subscriptionUrl: socketURL.href,
      // No @defer or @stream here: asking for multipart would only make plain answers arrive in parts.
      enableIncrementalDelivery: false,
    }),
    defaultTabs: operations.map(({ Text }) => ({ query: Text })),
    // Own names in the browser's storage: other GraphiQL pages on the same host and port keep their tabs apart.
    storage: GraphiQL.createLocalStorage({ namespace: 'onhand' }),
    // A bearer token typed into the headers pane must not outlive the page.
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
    inputValueDeprecation: true,
  });
  ReactDOM.createRoot(document.getElementById('graphiql')).render(playground);
})();
