// One product: its live stock, its stock at a past moment, and its history.
import { signal } from '@preact/signals';
import { access } from '../api/access.js';
import { historyQuery, pastQuery, productQuery, productSubscription } from '../api/documents.js';
import { ask } from '../api/http.js';
import { serverNow } from '../api/clock.js';
import { connection, subscribe } from '../api/socket.js';

export const ranges = { hour: 3_600_000, day: 86_400_000, week: 604_800_000, month: 2_592_000_000 };
const points = 240;
const refreshMs = 15_000; // of the history, while the product changes

export class ProductState {
  product = signal(undefined); // null: unknown
  stock = signal(null);
  flashes = signal({ count: 0, delta: 0, at: 0 });
  history = signal(null);
  historyError = signal('');
  error = signal('');
  past = signal(null); // the stock at `at`, or null for now
  at = signal(0);
  range = signal('hour');
  #id;
  #channel;
  #exact;
  #ends = [];
  #connection = 0;
  #readAt = 0;
  #timer;
  #pastTimer;
  #stopped = false;

  constructor(id, channel) {
    this.#id = id;
    this.#channel = channel || null;
    this.#exact = access.peek().readInventory;
  }

  async start() {
    try {
      const { product } = await ask(productQuery(this.#exact), { id: this.#id, channel: this.#channel });
      if (this.#stopped) return;
      this.product.value = product;
      if (!product) return;
      this.#take(product.stock);
    } catch (err) {
      this.error.value = err.message;
      return;
    }
    this.#ends.push(subscribe(productSubscription(this.#exact), { ids: [this.#id], channel: this.#channel }, ({ stockChanged }) => this.#take(stockChanged)));
    this.readHistory();
  }

  #take(stock) {
    const before = this.stock.peek();
    if (before && stock.version <= before.version && this.#connection === connection.peek()) return;
    this.#connection = connection.peek();
    const delta = before ? (stock.quantityAvailable ?? 0) - (before.quantityAvailable ?? 0) : 0;
    if (delta) this.flashes.value = { count: this.flashes.peek().count + 1, delta, at: Date.now() };
    this.stock.value = stock;
    if (before) this.#refreshLater();
  }

  #refreshLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.readHistory(), Math.max(500, this.#readAt + refreshMs - Date.now()));
  }

  setRange(range) {
    this.range.value = range;
    this.readHistory();
  }

  async readHistory() {
    clearTimeout(this.#timer);
    if (!this.#exact || this.#stopped) return;
    this.#readAt = Date.now();
    const range = this.range.peek();
    try {
      const { stockHistory } = await ask(historyQuery, this.historyVariables());
      if (this.#stopped || range !== this.range.peek()) return;
      this.history.value = stockHistory;
      this.historyError.value = '';
    } catch (err) {
      this.historyError.value = err.message;
    }
  }

  historyVariables() {
    return { id: this.#id, channel: this.#channel, since: new Date(serverNow() - ranges[this.range.peek()]).toISOString(), points };
  }

  /** Shows the stock at a past moment, or the live stock again. It is read when the pointer rests. */
  travel(at) {
    clearTimeout(this.#pastTimer);
    this.at.value = at;
    if (!at) {
      this.past.value = null;
      return;
    }
    this.#pastTimer = setTimeout(async () => {
      try {
        const { stock } = await ask(pastQuery, this.pastVariables());
        if (this.at.peek() === at) this.past.value = stock;
      } catch (err) {
        this.historyError.value = err.message;
      }
    }, 120);
  }

  pastVariables() {
    return { id: this.#id, channel: this.#channel, at: new Date(this.at.peek() || serverNow()).toISOString() };
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#pastTimer);
    this.#ends.forEach((end) => end());
  }
}
