// A product's page.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { access, places } from '../api/access.js';
import { historyQuery, movementsSubscription, pastQuery, productQuery, productSubscription } from '../api/documents.js';
import { session } from '../api/socket.js';
import { reserveOne, rowNotes } from '../cart/cart.js';
import { linkTo, route } from '../route.js';
import { ProductState } from '../stock/product.js';
import { flashOf, Quantity, Status } from '../ui/parts.jsx';
import { QueryButton } from '../ui/query.jsx';
import { date, duration, moment, number, t } from '../words/words.js';
import { History } from './History.jsx';
import { Levels } from './Levels.jsx';
import { MovementList } from './MovementList.jsx';

function Facts({ product }) {
  const facts = [
    [t('threshold'), number(product.lowStockThreshold)],
    [t('limitPerCart'), product.maxPerReservation === null ? t('none') : number(product.maxPerReservation)],
    ...(product.maxPerOwner === null ? [] : [[t('limitPerOwner'), t('within', { n: product.maxPerOwner, period: duration(product.ownerPeriodSeconds) })]]),
    [t('policy'), t(product.inventoryPolicy)],
  ];
  return <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

function Now({ state, product }) {
  const live = state.stock.value;
  const past = state.past.value;
  const at = state.at.value;
  const stock = (at && past) || live;
  const { count, delta, at: changedAt } = state.flashes.value;
  const note = rowNotes.value.get(product.productId);
  return (
    <div class={`now ${at ? 'past' : ''}`}>
      <p class="big" data-flash={at ? undefined : flashOf(delta, count, changedAt)}><Quantity value={stock.quantityAvailable} /></p>
      <p><Status status={stock.status} /> {stock.nextRestockAt && <span class="soft">{t('restock', { date: date(stock.nextRestockAt) })}</span>}</p>
      {at ? <p class="moment">{t('pastAt', { time: moment(at) })} <button type="button" onClick={() => state.travel(0)}>{t('backToNow')}</button></p> : (
        <p class="action">
          <button type="button" class="main" data-kind={note?.kind} aria-disabled={!live.availableForSale || note?.kind === 'busy'} aria-label={t('reserveOne', { title: product.title ?? product.productId })}
            onClick={() => { if (live.availableForSale && note?.kind !== 'busy') reserveOne(product.productId, product.title ?? product.productId); }}>
            {note?.kind === 'good' ? `✓ ${t('reserved')}` : t('reserve')}
          </button>
          <span class="said" data-kind={note?.kind === 'bad' ? 'bad' : ''}>{note?.kind === 'bad' ? note.text : ''}</span>
        </p>
      )}
    </div>
  );
}

export function ProductView() {
  const { product: id, channel } = route.value;
  const exact = access.value.readInventory;
  const state = useMemo(() => new ProductState(id, channel), [id, channel, exact, session.value]);
  const heading = useRef();
  useEffect(() => { state.start(); return () => state.stop(); }, [state]);
  useEffect(() => { heading.current?.focus(); }, [id]);

  const product = state.product.value;
  const title = product?.title ?? id;
  const base = { id, channel: channel || null };
  const documents = [
    { query: productQuery(exact), variables: base },
    { query: productSubscription(exact), variables: { ids: [id], channel: base.channel }, live: true },
    ...(exact ? [{ query: historyQuery, variables: state.historyVariables() }, { query: pastQuery, variables: state.pastVariables() },
      { query: movementsSubscription, variables: { after: null, filter: { productId: id } }, live: true }] : []),
  ];
  const name = places.value.channels.find(({ channelId }) => channelId === channel)?.name;
  return (
    <article class="product" aria-labelledby="title">
      <div class="bar">
        <a {...linkTo({ view: 'stock' })} class="back">← {t('back')}</a>
        <QueryButton documents={documents} />
      </div>
      <h1 id="title" tabIndex={-1} ref={heading}>{title}</h1>
      <p class="soft id">{id}{name && ` · ${name}`}</p>
      {state.error.value && <p data-kind="bad" role="alert">{state.error.value}</p>}
      {product === null && <p>{t('unknownProduct', { id })}</p>}
      {product && state.stock.value && (
        <div class="columns">
          <div class="top"><Now state={state} product={product} /><Facts product={product} /></div>
          <Levels state={state} product={product} />
          <History state={state} />
          <section class="moved" aria-labelledby="moved">
            <h2 id="moved">{t('movementsOf')}</h2>
            {exact ? <MovementList key={`${id} ${session.value}`} filter={{ productId: id }} size={30} isShort /> : <p class="soft">{t('movementsScope')}</p>}
          </section>
        </div>
      )}
    </article>
  );
}
