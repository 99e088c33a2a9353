// Queries and mutations over HTTP.
import { token } from './token.js';

const answerLimitMs = 20_000;

/** A failure of a whole request, or the first error of its fields. `code` is the server's, or NETWORK. */
export class RequestError extends Error {
  constructor(message, code, retryAfterMs) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** One of an answer's errors as a RequestError. */
export const toError = ({ message, extensions }) => new RequestError(message, extensions?.code ?? 'INTERNAL', extensions?.retryAfterMs);

/** Sends one document. Returns data and errors as they came. */
export async function send(query, variables, signal) {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
  if (token.value) headers.Authorization = `Bearer ${token.value}`;
  const limit = AbortSignal.timeout(answerLimitMs);
  try {
    const response = await fetch('/graphql', {
      method: 'POST', headers, body: JSON.stringify({ query, variables }), signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    const answer = await response.json();
    if (!answer.data && !answer.errors) throw new RequestError(response.statusText, 'INTERNAL');
    return { data: answer.data ?? null, errors: answer.errors ?? [] };
  } catch (err) {
    if (err instanceof RequestError || signal?.aborted) throw err;
    throw new RequestError(err.message, 'NETWORK');
  }
}

/** Sends one document. Returns its data; any error is thrown. */
export async function ask(query, variables, signal) {
  const { data, errors } = await send(query, variables, signal);
  if (errors.length) throw toError(errors[0]);
  return data;
}

/** Whether a failure may pass: the same request may have an answer later. */
export const passes = ({ code }) => code === 'NETWORK' || code === 'UNAVAILABLE' || code === 'RATE_LIMITED';

/** Returns a new idempotency key. crypto.randomUUID is missing on plain http outside localhost. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
