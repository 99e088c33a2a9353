// The ledger as it grows: newest first, paused and resumed from a cursor.
import { signal } from '@preact/signals';
import { movementsQuery, movementsSubscription } from '../api/documents.js';
import { ask } from '../api/http.js';
import { subscribe } from '../api/socket.js';

export const shownMax = 200;

/** A feed of movements that match the filter. start and stop may be called again and again. */
export class MovementFeed {
  entries = signal([]);
  paused = signal(0); // when, or 0
  error = signal('');
  #filter;
  #size;
  #cursor = null;
  #waiting = [];
  #scheduled = false;
  #end = () => {};
  #stopped = false;

  constructor(filter, size = shownMax) {
    this.#filter = filter;
    this.#size = size;
  }

  /** Reads the newest movements, then follows. */
  async start() {
    try {
      const { stockMovements } = await ask(movementsQuery, { first: Math.min(this.#size, 50), filter: this.#filter });
      if (this.#stopped) return;
      this.entries.value = stockMovements.nodes;
      this.#cursor = stockMovements.nodes[0]?.cursor ?? null;
      this.error.value = '';
      if (!this.paused.peek()) this.#follow();
    } catch (err) {
      this.error.value = err.message;
    }
  }

  #follow() {
    this.#end = subscribe(movementsSubscription, () => ({ after: this.#cursor, filter: this.#filter }), ({ stockMoved }) => {
      if (this.entries.peek()[0]?.id === stockMoved.id) return;
      this.#cursor = stockMoved.cursor;
      this.#waiting.push(stockMoved);
      if (this.#waiting.length > this.#size) this.#waiting.shift();
      if (this.#scheduled) return;
      this.#scheduled = true;
      setTimeout(() => this.#flush(), 50);
    }, (err) => { this.error.value = err?.message ?? ''; });
  }

  #flush() {
    this.#scheduled = false;
    const known = new Set(this.entries.peek().map(({ id }) => id)); // after a reconnect the cursor may be older
    const fresh = this.#waiting.reverse().filter(({ id }) => !known.has(id));
    this.#waiting = [];
    if (fresh.length) this.entries.value = [...fresh, ...this.entries.peek()].slice(0, this.#size);
  }

  pause() {
    this.#end();
    this.#end = () => {};
    this.paused.value = Date.now();
  }

  /** Continues after the last movement that was shown: none is skipped. */
  resume() {
    this.paused.value = 0;
    this.#follow();
  }

  stop() {
    this.#stopped = true;
    this.#end();
  }
}
