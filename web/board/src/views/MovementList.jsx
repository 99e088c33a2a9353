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

function Movement({ movement, isShort }) {
  const details = [movement.note, movement.reference, movement.actor].filter(Boolean).join(' · ');
  return (
    <tr>
      <td><time dateTime={movement.createdAt}>{!isToday(movement.createdAt) && `${date(movement.createdAt)} `}{clock(movement.createdAt)}</time></td>
      {!isShort && <td class="grow"><a {...linkTo({ product: movement.productId })}>{movement.product.title ?? movement.productId}</a></td>}
      <td>{movement.location.name}</td>
      <td>{t(movement.reason)}</td>
      <td><Changes changes={movement.changes} /></td>
      <td class="grow soft" title={details}>{details}</td>
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
        <table>
          <thead><tr>
            <th scope="col">{t('time')}</th>{!isShort && <th scope="col">{t('columnProduct')}</th>}<th scope="col">{t('location')}</th><th scope="col">{t('reason')}</th><th scope="col">{t('change')}</th><th scope="col">{t('details')}</th>
          </tr></thead>
          <tbody>{shown.map((movement) => <Movement key={movement.id} movement={movement} isShort={isShort} />)}</tbody>
        </table>
      </div>
      {!entries.length && <p class="soft">{t('noMovements')}</p>}
    </div>
  );
}
