// The state of the page in its URL: the view and the filters. So a view can be sent to a colleague, and the browser's
// back button works.
import { signal } from '@preact/signals';

const statuses = ['IN_STOCK', 'LOW_STOCK', 'OUT_OF_STOCK', 'BACKORDER'];
export const views = ['stock', 'low', 'lane', 'movements', 'operations'];
const sorts = ['id', 'title', 'quantity', '-quantity'];
const oneOf = (list, value) => (list.includes(value) ? value : list[0]);

function read(search) {
  const get = new URLSearchParams(search);
  const product = get.get('product') ?? '';
  return {
    view: product ? 'product' : oneOf(views, get.get('view')),
    product,
    q: get.get('q') ?? '',
    status: (get.get('status') ?? '').split(',').filter((status) => statuses.includes(status)),
    location: get.get('location') ?? '',
    channel: get.get('channel') ?? '',
    sort: oneOf(sorts, get.get('sort')),
    reason: get.get('reason') ?? '',
  };
}

/** The URL of a state. Defaults are left out. */
export function toURL({ view, product, q, status, location, channel, sort, reason }) {
  const set = new URLSearchParams();
  if (product) set.set('product', product);
  else if (view !== 'stock') set.set('view', view);
  for (const [name, value] of Object.entries({ q, status: status.join(','), location, channel, sort: sort === 'id' ? '' : sort, reason })) {
    if (value) set.set(name, value);
  }
  const text = set.toString();
  return text ? `?${text}` : '/';
}

export const route = signal(read(location.search));
export { statuses };

/** Changes a part of the state. A new view is a step of the browser's history; a filter is not. */
export function go(change) {
  const now = route.peek();
  const next = { ...now, ...change };
  if (change.view && change.view !== 'product') next.product = '';
  if (change.product) next.view = 'product';
  const step = next.view !== now.view || next.product !== now.product;
  history[step ? 'pushState' : 'replaceState'](null, '', toURL(next));
  route.value = next;
}

/** What a link needs to change the state without loading the page again. */
export const linkTo = (change) => ({
  href: toURL({ ...route.value, product: '', ...change }),
  onClick: (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(change);
  },
});

addEventListener('popstate', () => { route.value = read(location.search); });
