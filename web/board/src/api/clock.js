// The server's time. Countdowns use it: the browser's clock may be wrong.
import { ask } from './http.js';
import { computed, signal } from '@preact/signals';

const measurements = 3;
let offsetMs = 0;

/** The server's time now, in milliseconds since 1970. */
export const serverNow = () => Date.now() + offsetMs;

/** Ticks once a second, for what shows the time that is left or has passed. */
export const second = signal(Date.now());
setInterval(() => { second.value = Date.now(); }, 1000);
/** Grows once a minute, for what shows the last hour. */
export const minute = computed(() => Math.floor(second.value / 60_000));

/** Measures the difference of the clocks. The fastest of a few answers is the most exact. */
export async function measureClock() {
  let best = Infinity;
  for (let i = 0; i < measurements; i += 1) {
    const sent = Date.now();
    const { serverTime } = await ask('query ServerTime { serverTime }');
    const took = Date.now() - sent;
    if (took < best) {
      best = took;
      offsetMs = Date.parse(serverTime) - (sent + took / 2);
    }
  }
}
