// The list of products, whole or of those that run low.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { access, places } from '../api/access.js';
import { productsQuery, stockSubscription } from '../api/documents.js';
import { session } from '../api/socket.js';
import { reserveOne } from '../cart/cart.js';
import { go, route, statuses } from '../route.js';
import { statusChanges } from '../stock/lane.js';
import { list, listVariables, load, quantityChanges, refreshQuietlyMax, want } from '../stock/list.js';
import { unwatch, watchWindow, windowMax } from '../stock/live.js';
import { rowOf } from '../stock/rows.js';
import { wantLines } from '../stock/sparklines.js';
import { Select } from '../ui/parts.jsx';
import { QueryButton } from '../ui/query.jsx';
import { useMedia } from '../ui/media.js';
import { VirtualRows } from '../ui/VirtualRows.jsx';
import { t } from '../words/words.js';
import { ProductRow } from './ProductRow.jsx';

const typingMs = 180;
const refreshMs = 5_000;
const holdMs = 10_000; // after a key or a press
const lowStatuses = ['LOW_STOCK', 'OUT_OF_STOCK', 'BACKORDER'];

/** The route as the list of a view sees it: the low-stock view has filter and order of its own. */
export function listRoute(now) {
  const sort = now.view === 'low' ? 'quantity' : now.sort;
  const allowed = access.value.readInventory || !sort.includes('quantity') ? sort : 'id'; // amounts are protected
  return { ...now, sort: allowed, ...(now.view === 'low' && { status: lowStatuses }) };
}

function Filters({ now, searchRef, open }) {
  const timer = useRef();
  const [typed, setTyped] = useState(null); // what is not in the URL yet: the list renders anew while a user types
  const { locations, channels } = places.value;
  const onSearch = (event) => {
    const q = event.currentTarget.value;
    setTyped(q);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      go({ q });
      setTyped(null);
    }, typingMs);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <search class={`filters ${open ? 'open' : ''}`}>
      <label class="field grow">
        <span>{t('search')}</span>
        <input ref={searchRef} type="search" value={typed ?? now.q} placeholder={t('searchHint')} onInput={onSearch} spellcheck={false} autocomplete="off" />
      </label>
      {now.view === 'stock' && (
        <Select label={t('status')} value={now.status.join()} onChange={(status) => go({ status: status ? status.split(',') : [] })}
          options={[['', t('anyStatus')], ...statuses.map((status) => [status, t(status)])]} />
      )}
      {locations.length > 1 && access.value.readInventory && (
        <Select label={t('location')} value={now.location} onChange={(location) => go({ location })}
          options={[['', t('all')], ...locations.map(({ locationId, name }) => [locationId, name])]} />
      )}
      {channels.length > 0 && (
        <Select label={t('channel')} value={now.channel} onChange={(channel) => go({ channel })}
          options={[['', t('all')], ...channels.map(({ channelId, name }) => [channelId, name])]} />
      )}
      {now.view === 'stock' && (
        <Select label={t('sort')} value={now.sort} onChange={(sort) => go({ sort })}
          options={[['id', t('sortId')], ['title', t('sortTitle')], ...(access.value.readInventory ? [['quantity', t('sortQuantity')], ['-quantity', t('sort-quantity')]] : [])]} />
      )}
    </search>
  );
}

function Head({ here, hour }) {
  return (
    <div class="row head" role="row" aria-rowindex={1}>
      <span role="columnheader">{t('columnProduct')}</span>
      <span role="columnheader">{t('columnStatus')}</span>
      {hour && <span role="columnheader">{t('columnHour')}</span>}
      {here && <span role="columnheader" class="end">{t('columnHere')}</span>}
      <span role="columnheader" class="end">{t('columnQuantity')}</span>
      <span role="columnheader" class="end">{t('columnChange')}</span>
      <span role="columnheader" class="end">{t('columnAction')}</span>
    </div>
  );
}

function Summary({ state, count, error, isFiltered }) {
  if (state === 'failed') return <p class="summary" role="status" data-kind="bad">{t('listFailed', { message: error.message })}</p>;
  if (!count) return <p class="summary" role="status">{state === 'loading' ? t('loadingList') : t(isFiltered ? 'noProducts' : 'emptyShop')}</p>;
  const key = { loading: 'productsLoading', part: 'productsPart', whole: 'productsLoaded', cut: 'productsCut' }[state];
  return <p class="summary" role="status">{count === 1 && state === 'whole' ? t('oneProduct') : t(key, { n: count })}</p>;
}

const isSettled = () => list.peek().state === 'whole' || list.peek().state === 'part';

/**
 * Loads the list when what decides on it changes. Where statuses or quantities decide, it is read again when some have
 * changed, but never while it is held: then the user is asked. Returns whether it waits for that, and what shows it.
 */
function useList(now, isHeld) {
  const { q, status, location, channel, sort } = now;
  const [waits, setWaits] = useState(false);
  const key = JSON.stringify([q, status, location, channel, sort, session.value, access.value.readInventory, access.value.known]);
  const changes = (now.status.length ? statusChanges.value : 0) + (now.sort.includes('quantity') ? quantityChanges.value : 0);
  const shown = useRef(0); // the changes that the list on the screen has
  useEffect(() => {
    setWaits(false);
    shown.current = changes;
    if (access.peek().known) load(now);
  }, [key]);
  const last = useRef(0);
  const refresh = (quiet) => {
    setWaits(false);
    shown.current = changes;
    last.current = Date.now();
    load(now, quiet);
  };
  useEffect(() => {
    if (changes === shown.current) return undefined;
    const tick = () => {
      if (changes === shown.current) clearInterval(timer);
      else if (!isSettled()) return;
      else if (isHeld() || list.peek().ids.length > refreshQuietlyMax) setWaits(true);
      else refresh(true);
    };
    const timer = setInterval(tick, Math.max(200, last.current + refreshMs - Date.now()));
    return () => clearInterval(timer);
  }, [changes, key]);
  return [waits, () => refresh(list.peek().ids.length <= refreshQuietlyMax)];
}

// The list stands still under a pointer, and for a while after a key or a press in it.
function useHold() {
  const hold = useRef({ isInside: false, usedAt: 0 });
  const use = () => { hold.current.usedAt = Date.now(); };
  return [
    () => hold.current.isInside || (document.activeElement?.closest('.grid') && Date.now() - hold.current.usedAt < holdMs),
    {
      onPointerEnter: () => { hold.current.isInside = true; },
      onPointerLeave: () => { hold.current.isInside = false; use(); },
      onKeyDown: use,
      onFocusIn: use,
    },
  ];
}

export function ListView() {
  const now = listRoute(route.value);
  const searchRef = useRef();
  const [isHeld, holdProps] = useHold();
  const isPhone = useMedia('(max-width: 640px)');
  const { ids, state, error } = list.value;
  const hour = access.value.readInventory; // who may not read the history sees no column for it
  const levels = Boolean(now.location) && hour;
  const shownIds = useRef([]);
  const [filtersOpen, setFiltersOpen] = useState(false);
  const [waits, update] = useList(now, isHeld);

  const client = session.value;
  const onWindow = useCallback((first, last) => {
    if (!ids.length) return;
    want(last);
    watchWindow(ids, first, last, now.channel, levels);
    const visible = ids.slice(first, last + 1);
    shownIds.current = ids.slice(first, Math.min(last + 1, first + windowMax));
    wantLines(visible, now.channel);
  }, [ids, now.channel, levels, client]);
  useEffect(() => unwatch, [client]);

  const onKey = useCallback((name, id) => {
    if (name === 'Enter') go({ product: id });
    else if (name === 'r' || name === 'R') {
      const row = rowOf(id);
      if (row?.forSale) reserveOne(id, row.title);
    } else if (name === '/') searchRef.current.focus();
    else return false;
    return true;
  }, []);

  const isFiltered = Boolean(now.q || route.value.status.length || now.location || now.channel);
  const variables = listVariables(now);
  const documents = () => [
    { query: productsQuery, variables: { first: 60, ...variables } },
    { query: stockSubscription, live: true, variables: { ids: shownIds.current, channel: variables.channel, levels } },
  ];
  return (
    <section class={`list ${levels ? 'with-here' : ''} ${hour ? '' : 'no-hour'}`} aria-label={t(now.view)} {...holdProps}>
      <h1 class="hidden">{t(now.view)}</h1>
      <Filters now={now} searchRef={searchRef} open={!isPhone || filtersOpen} />
      <div class="bar">
        <Summary state={state} count={ids.length} error={error} isFiltered={isFiltered} />
        {waits && <button type="button" class="plain" onClick={update}>{t('updateList')}</button>}
        {isFiltered && <button type="button" class="plain" onClick={() => go({ q: '', status: [], location: '', channel: '' })}>{t('clear')}</button>}
        {isPhone && <button type="button" class="plain" aria-expanded={filtersOpen} onClick={() => setFiltersOpen(!filtersOpen)}>{t('filters')}</button>}
        <QueryButton documents={documents} />
      </div>
      <VirtualRows
        ids={ids} label={t('productsList')} rowHeight={isPhone ? 64 : 36} busy={state === 'loading'} isComplete={state === 'whole'} header={!isPhone && <Head here={levels} hour={hour} />}
        row={ProductRow} rowProps={{ location: levels ? now.location : '', hour }} onWindow={onWindow} onKey={onKey}
      />
      <p class="hint">{now.view === 'low' ? t('lowHelp') : t('keys')}</p>
    </section>
  );
}
