// The cart: one reservation, and what was last done to it.
import { computed, effect, signal } from '@preact/signals';
import { newKey, ask } from '../api/http.js';
import { serverNow } from '../api/clock.js';
import { session, subscribe } from '../api/socket.js';
import {
  commitMutation, extendMutation, releaseMutation, reservationSubscription, reserveMutation, updateMutation,
} from '../api/documents.js';
import { route } from '../route.js';
import { duration, t } from '../words/words.js';

const storageKey = 'onhand:board:cart';
const undoMs = 8_000;
const noteMs = 2_500;

/** The reservation as the server last said, or null. */
export const cart = signal(null);
export const busy = signal(false);
/** What to say about the last action in the cart: {kind, text}. */
export const cartNote = signal(null);
/** The last reservation that can be undone: {title, lines before it, until}. */
export const undoable = signal(null);
/** What to say in a product's row, where the finger is: id -> {kind, text}. */
export const rowNotes = signal(new Map());
/** For a screen reader. */
export const announcement = signal('');

export const unitCount = computed(() => (isActive(cart.value) ? cart.value.lines.reduce((sum, { quantity }) => sum + quantity, 0) : 0));

export const isActive = (reservation) => reservation?.state === 'ACTIVE' && Date.parse(reservation.expiresAt) > serverNow();

const toLines = (lines) => lines.map(({ productId, quantity }) => ({ productId, quantity }));

/** What a refusal says, in the page's language where it has words for it. */
export function refusalText(refusal) {
  if (refusal.periodSeconds) return t('ownerLimit', { ...refusal, period: duration(refusal.periodSeconds) });
  const text = t(refusal.code, refusal);
  return text === refusal.code ? refusal.message : text;
}

function take(reservation) {
  if (!reservation) return;
  const now = cart.peek();
  if (now && now.id === reservation.id && now.version > reservation.version) return;
  cart.value = reservation;
  sessionStorage.setItem(storageKey, reservation.id);
}

export function forget() {
  cart.value = null;
  cartNote.value = null;
  sessionStorage.removeItem(storageKey);
}

function noteRow(id, note) {
  const next = new Map(rowNotes.peek());
  next.set(id, note);
  rowNotes.value = next;
  if (note.kind !== 'busy') announcement.value = note.text;
  if (note.kind !== 'busy') {
    setTimeout(() => {
      if (rowNotes.peek().get(id) !== note) return;
      const later = new Map(rowNotes.peek());
      later.delete(id);
      rowNotes.value = later;
    }, note.kind === 'bad' ? 2 * noteMs : noteMs);
  }
}

// Runs one write. Returns its payload, or null after a refusal or a failure, which `report` has been told of.
async function write(mutation, input, report) {
  busy.value = true;
  try {
    const [payload] = Object.values(await ask(mutation, { input }));
    take(payload.reservation);
    if (!payload.errors.length) return payload;
    report(refusalText(payload.errors[0]));
  } catch (err) {
    report(err.code === 'NETWORK' ? t('NETWORK') : err.message);
  } finally {
    busy.value = false;
  }
  return null;
}

// One write after another: a second press waits for the answer to the first.
let last = Promise.resolve();
const inTurn = (action) => { last = last.then(action, action); return last; };

const sayInCart = (text) => { cartNote.value = { kind: 'bad', text }; announcement.value = text; };

/** Reserves one unit: in the active cart, or in a new one. */
export const reserveOne = (productId, title) => inTurn(async () => {
  noteRow(productId, { kind: 'busy', text: t('busy') });
  const active = isActive(cart.peek()) ? cart.peek() : null;
  const before = active ? toLines(active.lines) : [];
  const report = (text) => noteRow(productId, { kind: 'bad', text });
  const done = active
    ? await write(updateMutation, { idempotencyKey: newKey(), id: active.id, lines: [...before, { productId, quantity: 1 }] }, report)
    : await write(reserveMutation, { idempotencyKey: newKey(), lines: [{ productId, quantity: 1 }], channel: route.peek().channel || null }, report);
  if (!done) return;
  cartNote.value = null;
  noteRow(productId, { kind: 'good', text: t('reserved') });
  const undo = { title, lines: before, until: Date.now() + undoMs };
  undoable.value = undo;
  setTimeout(() => { if (undoable.peek() === undo) undoable.value = null; }, undoMs);
});

/** Gives the cart these lines; none releases it. */
export const changeLines = (lines) => inTurn(() => {
  undoable.value = null;
  const { id } = cart.peek();
  cartNote.value = null;
  if (!lines.length) return write(releaseMutation, { id }, sayInCart);
  return write(updateMutation, { idempotencyKey: newKey(), id, lines }, sayInCart);
});

export const undo = async () => {
  const { lines } = undoable.peek();
  if (await changeLines(lines)) announcement.value = t('undone');
};
export const extend = () => inTurn(() => write(extendMutation, { id: cart.peek().id }, sayInCart));
export const release = () => changeLines([]);
export const order = () => inTurn(() => {
  undoable.value = null;
  const orderRef = `board-${newKey().slice(0, 8)}`;
  return write(commitMutation, { idempotencyKey: newKey(), id: cart.peek().id, orderRef }, sayInCart);
});

/** Changes one line by some units. */
export function step(productId, by) {
  const lines = toLines(cart.peek().lines).map((line) => (line.productId === productId ? { ...line, quantity: line.quantity + by } : line));
  return changeLines(lines.filter(({ quantity }) => quantity > 0));
}

// Follows the reservation: another page, an order service or its expiry may change it.
const cartId = computed(() => cart.value?.id ?? sessionStorage.getItem(storageKey));
export function followCart() {
  effect(() => {
    const id = cartId.value;
    if (!id || !session.value) return undefined;
    return subscribe(reservationSubscription, { id }, ({ reservationChanged }) => take(reservationChanged), () => {
      if (!cart.peek()) sessionStorage.removeItem(storageKey); // the cart of an earlier visit is unknown by now
    });
  });
}
