// The bearer token. It is in memory; with the user's consent also in the tab's own storage, which ends with the tab.
import { signal } from '@preact/signals';

const storageKey = 'onhand:board:token';

export const token = signal(sessionStorage.getItem(storageKey) ?? '');

/** Uses a token from now on. An empty text is none. */
export function setToken(text, keepInTab) {
  token.value = text;
  if (text && keepInTab) sessionStorage.setItem(storageKey, text);
  else sessionStorage.removeItem(storageKey);
}

/** The scopes that a token says it has. The server checks the token; this only decides what the page offers. */
export function scopesOf(text) {
  try {
    const bytes = Uint8Array.from(atob(text.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    return new Set(JSON.parse(new TextDecoder().decode(bytes)).scope?.split(' '));
  } catch {
    return new Set(); // not a JSON web token
  }
}
