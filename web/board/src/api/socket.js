// The WebSocket: one connection, and what is true of it. A connection that is silent for longer than the server's pings
// allow is dead, whatever the browser says of it.
import { signal } from '@preact/signals';
import { createClient } from 'graphql-ws';
import { passes } from './http.js';
import { token } from './token.js';

export const silenceMaxMs = 25_000; // the server sends a ping every 10 s
const connectLimitMs = 10_000;
const pingMs = 10_000;
const retryDelayMaxMs = 10_000;
const retryMs = 2_000; // of a subscription
const refusedCodes = new Set([4400, 4401, 4403, 4406, 4409, 4429, 1008, 1009]); // a retry does not help

/**
 * What is known of the connection. state: connecting, live, reconnecting or refused.
 * heard: when the server was last heard before that, in milliseconds of the browser's clock; 0 for never.
 */
export const link = signal({ state: 'connecting', heard: 0, reason: '' });
/** Grows with every connection. A value of an earlier connection may be of a database that was restored since. */
export const connection = signal(0);
/** Grows with every client. What subscribes reads it, and subscribes again with another token. */
export const session = signal(0);

let heard = 0;
let client;

function show(state, reason = '') {
  const now = link.peek();
  if (now.state !== state || now.reason !== reason || state !== 'live') link.value = { state, heard, reason };
}

class BoundedSocket extends WebSocket {
  constructor(...args) {
    super(...args);
    const limit = setTimeout(() => { if (this.readyState === WebSocket.CONNECTING) this.close(); }, connectLimitMs);
    this.addEventListener('open', () => clearTimeout(limit));
  }
}

const hear = () => { heard = Date.now(); };

/** For how long the server has been silent, in milliseconds. */
export const silence = () => (heard ? Date.now() - heard : 0);

const disconnected = () => show(heard ? 'reconnecting' : 'connecting');

function onClosed({ code, reason }) {
  if (refusedCodes.has(code)) show('refused', reason);
  else disconnected();
}

/** Connects, or connects again with another token. */
export function connect() {
  const before = client;
  const mine = session.peek() + 1;
  // The connection of an earlier client may end, or even begin, after this one: that says nothing of what is shown.
  const ifMine = (act) => (event) => { if (session.peek() === mine) act(event); };
  // What graphql-ws takes for final: a refusal, which is shown, or a failure of the server or of a proxy, which may pass.
  const onGivenUp = (event) => { if (!refusedCodes.has(event?.code)) setTimeout(ifMine(connect), retryDelayMaxMs); };
  if (before) disconnected();
  client = createClient({
    url: location.origin.replace(/^http/, 'ws') + '/graphql',
    webSocketImpl: BoundedSocket,
    lazy: false,
    keepAlive: pingMs,
    connectionAckWaitTimeout: connectLimitMs,
    connectionParams: () => (token.value ? { authorization: `Bearer ${token.value}` } : {}),
    retryAttempts: Infinity,
    shouldRetry: (event) => !refusedCodes.has(event?.code),
    // Jittered: after a restart of the server, browsers reconnect at different times.
    retryWait: (attempt) => new Promise((done) => { setTimeout(done, Math.random() * Math.min(retryDelayMaxMs, 400 * 2 ** attempt)); }),
    onNonLazyError: ifMine(onGivenUp),
    on: {
      connected: ifMine(() => { hear(); connection.value = connection.peek() + 1; show('live'); }),
      message: ifMine(hear),
      closed: ifMine(onClosed),
    },
  });
  before?.dispose().catch(() => {}); // it was not connected
  session.value = mine;
}

setInterval(() => {
  if (link.peek().state !== 'live' || silence() <= silenceMaxMs) return;
  show('reconnecting');
  client.terminate(); // it connects again, and subscribes again to everything
}, 1000);

/**
 * Subscribes. `variables` may be a function, for those that change until the next try. `onData` gets the data of each
 * event. What may pass, as a server that is too busy, is tried again; `onError` gets any other error that ended the
 * subscription. Returns the function that ends it.
 */
export function subscribe(query, variables, onData, onError = () => {}) {
  const from = client;
  let end;
  let timer;
  const fail = (err) => {
    const { code, retryAfterMs = 0 } = err?.extensions ?? {};
    if (passes({ code })) timer = setTimeout(begin, Math.max(retryMs, retryAfterMs));
    else onError(err);
  };
  function begin() {
    end = from.subscribe({ query, variables: typeof variables === 'function' ? variables() : variables }, {
      next: ({ data, errors }) => {
        if (data) onData(data);
        else if (errors) fail(errors[0]);
      },
      error: (err) => fail(Array.isArray(err) ? err[0] : err),
      complete: () => {},
    });
  }
  begin();
  return () => {
    clearTimeout(timer);
    end();
  };
}
