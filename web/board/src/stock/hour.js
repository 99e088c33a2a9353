// The last hour of one quantity: a bounded number of points, however long the page is open, and the line through them.

export const hourMs = 3_600_000;
export const points = 60; // of a history that is read
const youngestMs = 120_000;
const stepMs = hourMs / (2 * points); // of the changes within a step, the first and the last one are kept

/** The most points that are kept: those of the history, and two of each step since. */
export const pointsMax = points + 2 * (hourMs / stepMs) + 2;

/** Adds a point {at, quantity}. Of those older than an hour one stays: it was true at the beginning of the hour. */
export function addPoint(values, point) {
  const before = values.at(-2);
  if (before && Math.floor(before.at / stepMs) === Math.floor(point.at / stepMs)) values.pop();
  values.push(point);
  const since = point.at - hourMs;
  let old = 0;
  while (values[old + 1]?.at < since) old += 1;
  if (old) values.splice(0, old);
}

/** The points of a history. Its oldest moments may be missing, so the times are counted from the last one. */
export function toValues({ since, until, points: past }) {
  const last = Date.parse(until);
  const step = (last - Date.parse(since)) / (points - 1);
  return past.map(({ available }, i) => ({ at: last - (past.length - 1 - i) * step, quantity: available }));
}

/**
 * The line as paths of an SVG of this size: steps, because a quantity is constant between two changes. It is as wide as
 * an hour; of a younger product as its life, two minutes at least. `before` is the part before its first movement.
 */
export function toPath(values, width, height, now) {
  const since = Math.max(now - hourMs, Math.min(values[0]?.at ?? 0, now - youngestMs));
  const recent = values.filter(({ at }, i) => at >= since || (values[i + 1]?.at ?? now) >= since); // the last one is true until now
  if (!recent.length) return { path: '', before: '' };
  let low = Infinity;
  let high = -Infinity;
  for (const { quantity } of recent) { low = Math.min(low, quantity); high = Math.max(high, quantity); }
  const x = (at) => (Math.max(0, (at - since) / (now - since)) * width).toFixed(1);
  const y = (quantity) => (high === low ? height / 2 : height - 1 - ((quantity - low) / (high - low)) * (height - 2)).toFixed(1);
  let path = `M${x(recent[0].at)} ${y(recent[0].quantity)}`;
  let drawn = recent[0].quantity;
  for (const { at, quantity } of recent.slice(1)) {
    if (quantity !== drawn) path += `H${x(at)}V${y(quantity)}`;
    drawn = quantity;
  }
  return { path: `${path}H${width}`, before: `M0 ${y(recent[0].quantity)}H${x(recent[0].at)}` };
}
