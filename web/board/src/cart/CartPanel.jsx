// The cart: its lines, the time that is left, and what can be done with it.
import { useEffect, useRef } from 'preact/hooks';
import { access } from '../api/access.js';
import { second, serverNow } from '../api/clock.js';
import { commitMutation, reservationSubscription, reserveMutation } from '../api/documents.js';
import { linkTo } from '../route.js';
import { QueryButton } from '../ui/query.jsx';
import { countdown, number, t } from '../words/words.js';
import { announcement, busy, cart, cartNote, extend, forget, isActive, order, release, step } from './cart.js';

const warnMs = 60_000;

const ended = { EXPIRED: 'cartExpired', RELEASED: 'cartReleased', COMMITTED: 'cartOrdered', FULFILLED: 'cartShipped', CANCELLED: 'cartCancelled' };

function TimeLeft({ expiresAt }) {
  second.value; // eslint-disable-line no-unused-expressions -- follows it
  const left = Date.parse(expiresAt) - serverNow();
  const isShort = left < warnMs;
  const warned = useRef(false);
  useEffect(() => {
    if (isShort && !warned.current) announcement.value = t('minuteLeft');
    warned.current = isShort;
  }, [isShort]);
  return <p class="left" data-kind={isShort ? 'low' : ''}>{t('timeLeft')} <strong role="timer">{countdown(left)}</strong></p>;
}

function Line({ line, isBusy }) {
  const title = line.product.title ?? line.productId;
  return (
    <li>
      <a {...linkTo({ product: line.productId })}>{title}</a>
      <span class="stepper">
        <button type="button" aria-disabled={isBusy} aria-label={t('less', { title })} onClick={() => { if (!isBusy) step(line.productId, -1); }}>−</button>
        <output>{number(line.quantity)}</output>
        <button type="button" aria-disabled={isBusy} aria-label={t('more', { title })} onClick={() => { if (!isBusy) step(line.productId, 1); }}>+</button>
      </span>
    </li>
  );
}

function Active({ reservation, isBusy }) {
  const act = (action) => () => { if (!isBusy) action(); };
  const mayOrder = access.value.writeOrders;
  return (
    <>
      <TimeLeft expiresAt={reservation.expiresAt} />
      <ul class="lines">{reservation.lines.map((line) => <Line key={line.productId} line={line} isBusy={isBusy} />)}</ul>
      <p class="buttons">
        {mayOrder && <button type="button" class="main" aria-disabled={isBusy} onClick={act(order)}>{t('order')}</button>}
        <button type="button" aria-disabled={isBusy} onClick={act(extend)}>{t('extend')}</button>
        <button type="button" aria-disabled={isBusy} onClick={act(release)}>{t('release')}</button>
      </p>
      {!mayOrder && <p class="soft">{t('orderScope')}</p>}
    </>
  );
}

export function CartPanel() {
  second.value; // eslint-disable-line no-unused-expressions -- an expiry shows without an event
  const reservation = cart.value;
  const note = cartNote.value;
  const isLive = isActive(reservation);
  const state = reservation && (reservation.state === 'ACTIVE' ? 'EXPIRED' : reservation.state);
  const documents = [
    { query: reserveMutation, variables: { input: { idempotencyKey: '…', lines: [{ productId: '…', quantity: 1 }] } } },
    { query: reservationSubscription, variables: { id: reservation?.id ?? 'res_…' }, live: true },
    { query: commitMutation, variables: { input: { idempotencyKey: '…', id: reservation?.id ?? 'res_…', orderRef: '…' } } },
  ];
  return (
    <section class="cart" aria-labelledby="cart" tabIndex={-1}>
      <div class="bar"><h2 id="cart">{t('cart')}</h2><QueryButton documents={documents} /></div>
      {!reservation && <p class="soft">{t('cartEmpty')}</p>}
      {isLive && <Active reservation={reservation} isBusy={busy.value} />}
      {reservation && !isLive && (
        <>
          <p>{t(ended[state], { ref: reservation.orderRef })}</p>
          <p class="buttons"><button type="button" onClick={forget}>{t('newCart')}</button></p>
        </>
      )}
      <p class="said" data-kind={note?.kind}>{note?.text}</p>
    </section>
  );
}
