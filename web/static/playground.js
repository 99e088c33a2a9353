// Starts GraphiQL for this server's endpoint, with the sample operations in tabs. The
// page has endpoint and operations as JSON, so that it needs no inline script.
(() => {
  'use strict';
  // The bundle reads the page's nonce from this variable, for the style elements it adds.
  globalThis.__webpack_nonce__ = document.currentScript.nonce;

  const { endpoint, operations } = JSON.parse(document.getElementById('config').textContent);
  const url = new URL(endpoint, location.href);
  const socketURL = new URL(url);
  socketURL.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';

  const fetcher = GraphiQL.createFetcher({
    url: url.href,
    subscriptionUrl: socketURL.href,
    // The server has no @defer or @stream, so it needs no multipart answers.
    enableIncrementalDelivery: false,
  });
  const randomKey = () => // crypto.randomUUID is missing on plain http outside localhost
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
  // A document with the variable $key gets a new idempotency key for each run, and one with $hourAgo that time, unless the
  // variables pane has them.
  const withVariables = (request) => {
    const made = {};
    if (/\$key\b/.test(request.query)) made.key = randomKey();
    if (/\$hourAgo\b/.test(request.query)) made.hourAgo = new Date(Date.now() - 3_600_000).toISOString();
    return { ...request, variables: { ...made, ...request.variables } };
  };

  const storage = GraphiQL.createLocalStorage({ namespace: 'onhand' });

  // The schema is read again with each token. An answer for an earlier token that comes late is dropped: GraphiQL would
  // show the schema, or the refusal, of that token.
  let tokens = 0;
  const newestOnly = (request, answer) => {
    if (request.operationName !== 'IntrospectionQuery') return answer;
    const asked = tokens;
    return new Promise((resolve, reject) => {
      const pass = (settle) => (value) => { if (asked === tokens) settle(value); };
      Promise.resolve(answer).then(pass(resolve), pass(reject));
    });
  };

  // A new fetcher makes GraphiQL read the schema. A token of the headers pane comes first.
  const playground = (token) => React.createElement(GraphiQL, {
    fetcher: (request, options) => newestOnly(request, fetcher(withVariables(request), token
      ? { ...options, headers: { Authorization: `Bearer ${token}`, ...options?.headers } } : options)),
    defaultTabs: operations.map(({ Text }) => ({ query: Text })),
    // A namespace in the browser's storage, apart from other GraphiQL pages of this host and port.
    storage,
    // A bearer token in the headers pane must not be stored. That of the token field is not either.
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
    inputValueDeprecation: true,
  });
  const root = ReactDOM.createRoot(document.getElementById('graphiql'));
  root.render(playground(''));
  document.getElementById('token').addEventListener('change', ({ target }) => {
    tokens += 1;
    root.render(playground(target.value.trim().replace(/^bearer\s+/i, '')));
  });
})();
