// A feed of movements. It pauses by its button and resumes from its cursor; while the pointer is inside it stands still.
import { useEffect, useMemo } from 'preact/hooks';
import { MovementFeed, shownMax } from '../stock/movements.js';
import { linkTo } from '../route.js';
import { useHeld } from '../ui/parts.jsx';
import { clock, date, number, signed, t } from '../words/words.js';

const isToday = (time) => new Date(time).toDateString() === new Date().toDateString();

const Changes = ({ changes }) => changes.map(({ state, delta, after }) => (
  <span class="changed" key={state} data-sign={Math.sign(delta)}>{t(`s_${state}`)} <b>{signed(delta)}</b> <span class="soft">→ {number(after)}</span></span>
));

// The roles are given, because on a phone the rows are grids.
function Movement({ movement, isShort }) {
  const details = [movement.note, movement.reference, movement.actor].filter(Boolean).join(' · ');
  return (
    <tr role="row">
      <td role="cell" class="m-time"><time dateTime={movement.createdAt}>{!isToday(movement.createdAt) && `${date(movement.createdAt)} `}{clock(movement.createdAt)}</time></td>
      {!isShort && <td role="cell" class="m-product grow"><a {...linkTo({ product: movement.productId })}>{movement.product.title ?? movement.productId}</a></td>}
      <td role="cell" class="m-place">{movement.location.name}</td>
      <td role="cell" class="m-reason">{t(movement.reason)}</td>
      <td role="cell" class="m-changes"><Changes changes={movement.changes} /></td>
      <td role="cell" class="m-details grow soft" title={details}>{details}</td>
    </tr>
  );
}

export function MovementList({ filter, size = shownMax, isShort }) {
  const key = JSON.stringify(filter);
  const feed = useMemo(() => new MovementFeed(filter, size), [key, size]);
  useEffect(() => { feed.start(); return () => feed.stop(); }, [feed]);
  const entries = feed.entries.value;
  const pausedAt = feed.paused.value;
  const { shown, waiting, release, props } = useHeld(entries, ({ id }) => id);
  return (
    <div class="feed" {...props}>
      <div class="bar">
        <button type="button" aria-pressed={Boolean(pausedAt)} onClick={() => (pausedAt ? feed.resume() : feed.pause())}>{t(pausedAt ? 'resume' : 'pause')}</button>
        {waiting > 0 && <button type="button" class="plain" onClick={release}>{t('waitingNew', { n: waiting })}</button>}
        <span class="soft" role="status">{pausedAt ? t('paused', { time: clock(pausedAt) }) : ''}</span>
      </div>
      {feed.error.value && <p data-kind="bad" role="alert">{t('feedFailed', { message: feed.error.value })}</p>}
      <div class="scroll" tabIndex={0} role="group" aria-label={t('movements')}>
        <table role="table" class={isShort ? 'short' : ''}>
          <thead role="rowgroup"><tr role="row">
            <th role="columnheader" scope="col">{t('time')}</th>{!isShort && <th role="columnheader" scope="col">{t('columnProduct')}</th>}<th role="columnheader" scope="col">{t('location')}</th><th role="columnheader" scope="col">{t('reason')}</th><th role="columnheader" scope="col">{t('change')}</th><th role="columnheader" scope="col" class="m-details">{t('details')}</th>
          </tr></thead>
          <tbody role="rowgroup">{shown.map((movement) => <Movement key={movement.id} movement={movement} isShort={isShort} />)}</tbody>
        </table>
      </div>
      {!entries.length && <p class="soft">{t('noMovements')}</p>}
    </div>
  );
}
