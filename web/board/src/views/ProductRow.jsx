// One product in the list. It is drawn again when its stock, its line or its note changes, and only then.
import { computed } from '@preact/signals';
import { minute, serverNow } from '../api/clock.js';
import { memo } from '../ui/memo.jsx';
import { useMemo } from 'preact/hooks';
import { reserveOne, rowNotes } from '../cart/cart.js';
import { linkTo } from '../route.js';
import { toPath } from '../stock/hour.js';
import { changesOf, rowOf } from '../stock/rows.js';
import { lineOf } from '../stock/sparklines.js';
import { flashOf, Quantity, Status } from '../ui/parts.jsx';
import { date, number, signed, t, when } from '../words/words.js';

const lineWidth = 96;
const lineHeight = 22;

function Sparkline({ id }) {
  const line = lineOf(id);
  const drawn = line.stamp.value;
  const { path, before } = useMemo(() => toPath(line.values, lineWidth, lineHeight, serverNow()), [line, drawn, minute.value]);
  return <svg width={lineWidth} height={lineHeight} viewBox={`0 0 ${lineWidth} ${lineHeight}`} aria-hidden="true"><path class="before" d={before} /><path d={path} /></svg>;
}

const here = (row, location) => row.levels?.find((level) => level.location.locationId === location)?.available;

// The last change, and the button. No component: one with an unchanged row would not be drawn again.
const restOf = (row, note, tab) => (
  <>
    <span role="gridcell" class="delta" data-sign={Math.sign(row.delta)}>
      {row.changedAt ? <><b>{signed(row.delta)}</b> <span class="when">{when(row.changedAt)}</span></> : <span class="hidden">{t('neverChanged')}</span>}
    </span>
    <span role="gridcell" class="action">
      {note && note.kind === 'bad' && <span class="note" data-kind="bad">{note.text}</span>}
      <button
        type="button" tabIndex={tab} data-kind={note?.kind} aria-disabled={!row.forSale || note?.kind === 'busy'} aria-label={t('reserveOne', { title: row.title })}
        onClick={() => { if (row.forSale && note?.kind !== 'busy') reserveOne(row.id, row.title); }}
      >
        {note?.kind === 'good' ? <>✓ <span class="word">{t('reserved')}</span></> : t('reserve')}
      </button>
    </span>
  </>
);

export const ProductRow = memo(({ id, index, top, active, isDrawn, onFocus, location, hour }) => {
  const row = rowOf(id);
  const note = useMemo(() => computed(() => rowNotes.value.get(id)), [id]).value;
  if (row) changesOf(row).value; // eslint-disable-line no-unused-expressions -- follows it
  const flash = row && flashOf(row.delta, row.flashes, row.changedAt);
  const tab = active ? 0 : -1;
  return (
    <div
      class="row" role="row" data-index={index} data-product={id} tabIndex={tab} aria-rowindex={index + 2} style={{ transform: `translateY(${top}px)` }}
      onFocusIn={() => { if (!active) onFocus(id); }}
    >
      {row && (
        <>
          <span role="gridcell" class="name">
            {isDrawn ? <a {...linkTo({ product: id })} tabIndex={tab}>{row.title}</a> : <b>{row.title}</b>}
            <span class="id">{id}{row.restockAt && <span class="restock"> · {t('restock', { date: date(row.restockAt) })}</span>}</span>
          </span>
          <span role="gridcell" class="state"><Status status={row.status} /></span>
          {hour && <span role="gridcell" class="line">{isDrawn && <Sparkline id={id} />}</span>}
          {location && <span role="gridcell" class="here"><Quantity value={here(row, location)} /></span>}
          <span role="gridcell" class="quantity" data-flash={flash}><Quantity value={row.quantity} /></span>
          {isDrawn && restOf(row, note, tab)}
        </>
      )}
    </div>
  );
});
