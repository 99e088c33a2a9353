// Bearer tokens for a server of the tests.
import { createHmac } from 'node:crypto';

export const secret = 'a secret of tests: 32 bytes at least';
const leewaySeconds = 30;
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token that the server accepts for so many seconds, its leeway included. */
export function newToken(scope, seconds = 3600) {
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: 'tester', scope, exp: Math.ceil(Date.now() / 1000) + seconds - leewaySeconds })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
