// The live stock of six products, each with a button that reserves one unit. It calls
// this server's GraphQL endpoint without a client library.
(() => {
  'use strict';
  const demoIds = ['85123A', '22423', '85099B', '84879', '47566', '20725'];
  const stockFields = 'productId product { title } status quantityAvailable availableForSale version';
  const ttlSeconds = 60;
  const retryDelayMaxMs = 30_000;
  const forbidden = 4403; // the server's close code for a refused connection; a retry does not help
  const kinds = { IN_STOCK: 'good', LOW_STOCK: 'low', OUT_OF_STOCK: 'bad', BACKORDER: 'low' };
  const byId = (id) => document.getElementById(id);
  const cards = new Map(); // product id -> its elements and the version shown

  function randomKey() { // crypto.randomUUID is missing on plain http outside localhost
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
  }

  function label(element, text, kind) {
    element.textContent = text;
    element.dataset.kind = kind ?? '';
  }

  const explain = (text, kind) => label(byId('notice'), text, kind);
  const showLink = (text, kind) => label(byId('link'), text, kind);
  // Full jitter: after a restart of the server, browsers reconnect at different times.
  const backoff = (attempt) => Math.random() * Math.min(retryDelayMaxMs, 500 * 2 ** attempt);

  async function ask(query, variables) {
    const response = await fetch('/graphql', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = await response.json();
    if (errors?.length) throw new Error(errors[0].message);
    return data;
  }

  async function reserveOne(productId, button) {
    button.disabled = true;
    try {
      const { reserveStock } = await ask(
        `mutation Reserve($input: ReserveStockInput!) {
          reserveStock(input: $input) {
            reservation { id expiresAt }
            errors { message code }
          }
        }`,
        { input: { idempotencyKey: randomKey(), lines: [{ productId, quantity: 1 }], ttlSeconds } },
      );
      const refused = reserveStock.errors[0];
      if (refused) explain(`${productId}: ${refused.message} (${refused.code})`, 'bad');
      else explain(`One ${productId} is reserved until ${new Date(reserveStock.reservation.expiresAt).toLocaleTimeString()}.`);
    } catch (err) {
      explain(`${productId}: ${err.message}`, 'bad');
    }
    button.disabled = false;
  }

  function addCard(productId) {
    const item = byId('product').content.cloneNode(true).firstElementChild;
    const find = (selector) => item.querySelector(selector);
    const card = { title: find('.title'), quantity: find('.quantity'), status: find('.status'), button: find('button'), version: -1 };
    item.dataset.product = productId;
    find('.id').textContent = productId;
    card.button.addEventListener('click', () => reserveOne(productId, card.button));
    byId('products').append(item);
    cards.set(productId, card);
    return card;
  }

  // An older version is ignored: the query's answer can arrive after the subscription's.
  function show(stock) {
    const card = cards.get(stock.productId) ?? addCard(stock.productId);
    if (stock.version <= card.version) return;
    const text = stock.quantityAvailable === null ? '∞' : String(stock.quantityAvailable);
    if (card.version >= 0 && text !== card.quantity.textContent) {
      card.quantity.classList.remove('flash');
      void card.quantity.offsetWidth; // restarts the animation
      card.quantity.classList.add('flash');
    }
    card.version = stock.version;
    card.title.textContent = stock.product.title ?? stock.productId;
    card.quantity.textContent = text;
    card.button.setAttribute('aria-label', `Reserve 1 of ${card.title.textContent}`);
    label(card.status, stock.status.toLowerCase().replaceAll('_', ' '), kinds[stock.status]);
  }

  async function firstStocks() {
    const { stocks } = await ask(`query LiveStock($ids: [ID!]!) { stocks(productIds: $ids) { ${stockFields} } }`, { ids: demoIds });
    const known = stocks.filter(Boolean);
    if (known.length) return known;
    const { products } = await ask(`{ products(first: 6) { nodes { stock { ${stockFields} } } } }`);
    return products.nodes.map((product) => product.stock);
  }

  const query = `subscription LiveStock($ids: [ID!]!) { stockChanged(productIds: $ids) { ${stockFields} } }`;

  // One socket, one subscription, in the graphql-transport-ws protocol.
  function watch(ids, attempt = 0) {
    const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/graphql', 'graphql-transport-ws');
    const send = (message) => socket.send(JSON.stringify(message));
    socket.onopen = () => send({ type: 'connection_init' });
    socket.onmessage = ({ data }) => {
      const { type, payload } = JSON.parse(data);
      if (type === 'connection_ack') {
        // The database may have been restored from a backup, so a lower version can be right.
        cards.forEach((card) => { card.version = -1; });
        if (byId('notice').dataset.kind) explain('');
        send({ id: '1', type: 'subscribe', payload: { query, variables: { ids } } });
      }
      if (type === 'ping') send({ type: 'pong' });
      if (type === 'next' && payload.data) {
        attempt = 0;
        showLink('live', 'good');
        show(payload.data.stockChanged);
      }
      if (type === 'error') explain(`Live updates stopped: ${payload[0]?.message}`, 'bad');
      if (type === 'error' || type === 'complete') socket.close(1000);
    };
    socket.onclose = ({ code, reason }) => {
      if (code === forbidden) {
        showLink('stopped', 'bad');
        return explain(`Live updates ended: ${reason || 'not allowed'}`, 'bad');
      }
      showLink('reconnecting', 'low');
      setTimeout(watch, backoff(attempt), ids, attempt + 1);
    };
  }

  async function start(attempt = 0) {
    try {
      const stocks = await firstStocks();
      stocks.forEach(show);
      explain(stocks.length ? 'Press a button to reserve one unit for a minute, and see the number change.' : 'There are no products yet.');
      if (stocks.length) watch(stocks.map((stock) => stock.productId));
      else showLink('idle');
    } catch (err) {
      explain(`No answer yet: ${err.message}`, 'bad');
      setTimeout(start, backoff(attempt), attempt + 1);
    }
  }

  document.querySelectorAll('.origin').forEach((span) => { span.textContent = location.origin; });
  start();
})();
