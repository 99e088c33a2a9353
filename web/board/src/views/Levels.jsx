// The levels of a product by location, and their counting and receiving.
import { useEffect, useRef, useState } from 'preact/hooks';
import { access } from '../api/access.js';
import { countMutation, receiveMutation } from '../api/documents.js';
import { ask, newKey } from '../api/http.js';
import { refusalText } from '../cart/cart.js';
import { useMedia } from '../ui/media.js';
import { number, t } from '../words/words.js';

const columns = [['available', 'available'], ['reserved', 'reservedColumn'], ['committed', 'committed'], ['damaged', 'damaged'], ['onHand', 'onHand'], ['incoming', 'incoming']];
const unitsMax = 1_000_000_000;

const toUnits = (text, least) => (/^\d{1,10}$/.test(text.trim()) && Number(text) >= least && Number(text) <= unitsMax ? Number(text) : null);

// A form's answer stays beside the form.
const Said = ({ note }) => <p class="said" role="status" data-kind={note?.kind}>{note?.text}</p>;

/**
 * Counts one level. The count is compared with the quantity that was shown when the count began: with another one the
 * server refuses it, and the user decides.
 */
function Count({ productId, level, seed }) {
  const [text, setText] = useState('');
  const [base, setBase] = useState(null); // the quantity when the count began
  const [stale, setStale] = useState(null);
  const [note, setNote] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const input = useRef();
  const place = level.location.name;
  const begin = () => { if (base === null) setBase(level.available); };

  const save = async (quantity, from) => {
    setBusy(true);
    setNote(null);
    try {
      const { setStock } = await ask(countMutation, {
        input: { idempotencyKey: newKey(), reason: 'CYCLE_COUNT', rows: [{ productId, locationId: level.location.locationId, quantity, changeFromQuantity: from }] },
      });
      const [refusal] = setStock.errors;
      if (refusal?.__typename === 'StaleQuantityError') setStale({ ...refusal, quantity });
      else if (refusal) setNote({ kind: 'bad', text: refusalText(refusal) });
      else finish(t('countIs', { n: quantity }));
    } catch (err) {
      setNote({ kind: 'bad', text: err.code === 'NETWORK' ? t('NETWORK') : err.message });
    }
    setBusy(false);
  };
  const finish = (said) => {
    setStale(null);
    setText('');
    setBase(null);
    setNote({ kind: 'good', text: said });
    input.current.focus();
  };
  const submit = (event) => {
    event.preventDefault();
    const quantity = toUnits(text, 0);
    if (quantity === null) setNote({ kind: 'bad', text: t('notNumber') });
    else if (!isBusy) save(quantity, base ?? level.available);
  };
  const recount = () => {
    setBase(stale.actual);
    setStale(null);
    setText('');
    input.current.focus();
  };
  useEffect(() => { if (seed) input.current.focus(); }, [seed]);

  return (
    <form onSubmit={submit} class="count">
      <label class="field"><span>{t('counted', { location: place })}</span>
        <input ref={input} inputMode="numeric" autocomplete="off" value={text} onFocus={begin} onInput={(event) => { begin(); setText(event.currentTarget.value); setNote(null); }} />
      </label>
      <button type="submit" aria-disabled={isBusy}>{t('countSave')}</button>
      {stale && (
        <div class="stale" role="alert">
          <p>{t('stale', stale)}</p>
          <p class="buttons">
            <button type="button" class="main" onClick={recount}>{t('recount')}</button>
            <button type="button" onClick={() => finish(t('keptNew', stale))}>{t('takeNew', stale)}</button>
            <button type="button" onClick={() => save(stale.quantity, stale.actual)}>{t('setAnyway', { n: stale.quantity })}</button>
          </p>
        </div>
      )}
      <Said note={note} />
    </form>
  );
}

function Receive({ productId, level }) {
  const [text, setText] = useState('');
  const [reference, setReference] = useState('');
  const [note, setNote] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const delta = toUnits(text, 1);
    if (isBusy) return;
    if (delta === null) {
      setNote({ kind: 'bad', text: t('notPositive') });
      return;
    }
    setBusy(true);
    try {
      const { adjustStock } = await ask(receiveMutation, {
        input: { idempotencyKey: newKey(), reason: 'RECEIVED', referenceDocumentUri: reference || null, rows: [{ productId, locationId: level.location.locationId, delta }] },
      });
      const [refusal] = adjustStock.errors;
      setNote(refusal ? { kind: 'bad', text: refusalText(refusal) } : { kind: 'good', text: t('saved') });
      if (!refusal) setText('');
    } catch (err) {
      setNote({ kind: 'bad', text: err.code === 'NETWORK' ? t('NETWORK') : err.message });
    }
    setBusy(false);
  };
  return (
    <form onSubmit={submit} class="receive">
      <label class="field"><span>{t('receivedUnits', { location: level.location.name })}</span><input inputMode="numeric" autocomplete="off" value={text} onInput={(event) => { setText(event.currentTarget.value); setNote(null); }} /></label>
      <label class="field"><span>{t('reference')}</span><input autocomplete="off" maxLength={255} value={reference} onInput={(event) => setReference(event.currentTarget.value)} /></label>
      <button type="submit" aria-disabled={isBusy}>{t('receive')}</button>
      <Said note={note} />
    </form>
  );
}

export function Levels({ state, product }) {
  const [chosen, setChosen] = useState('');
  const isPhone = useMedia('(max-width: 640px)');
  const at = state.at.value;
  const stock = (at && state.past.value) || state.stock.value;
  const { readInventory, writeInventory } = access.value;
  if (!readInventory) return <section class="levels"><h2>{t('levels')}</h2><p class="soft">{t('levelsScope')}</p></section>;
  const levels = stock.levels ?? [];
  const level = (state.stock.value.levels ?? []).find(({ location }) => location.locationId === chosen);
  return (
    <section class="levels" aria-labelledby="levels">
      <h2 id="levels">{t('levels')}</h2>
      <div class="scroll" tabIndex={0} role="group" aria-label={t('levels')}>
        <table class={at ? 'past' : ''}>
          <thead><tr><th scope="col">{t('location')}</th>{columns.map(([name, word]) => <th key={name} scope="col" class="end">{t(word)}</th>)}{writeInventory && <th scope="col" class="act"><span class="hidden">{t('count')}</span></th>}</tr></thead>
          <tbody>
            {levels.map((each) => (
              <tr key={each.location.locationId}>
                <th scope="row">{each.location.name}{!each.location.active && <span class="soft"> · {t('inactive')}</span>}</th>
                {columns.map(([name]) => <td key={name} class={each[name] === 0 ? 'zero' : ''}>{number(each[name])}</td>)}
                {writeInventory && (
                  <td class="act"><button type="button" class="plain" aria-expanded={chosen === each.location.locationId} aria-label={`${isPhone ? t('edit') : `${t('count')}, ${t('receive')}`}: ${each.location.name}`} aria-disabled={Boolean(at)}
                    onClick={() => { if (!at) setChosen(chosen === each.location.locationId ? '' : each.location.locationId); }}>{isPhone ? t('edit') : `${t('count')} · ${t('receive')}`}</button></td>
                )}
              </tr>
            ))}
          </tbody>
          {stock.onHand !== null && stock.onHand !== undefined && levels.length > 1 && (
            <tfoot><tr><th scope="row">{t('total')}</th>{columns.map(([name]) => <td key={name}>{number(levels.reduce((sum, each) => sum + each[name], 0))}</td>)}{writeInventory && <td class="act" />}</tr></tfoot>
          )}
        </table>
      </div>
      {level && !at && (
        <div class="forms" key={chosen}>
          <Count productId={product.productId} level={level} seed={chosen} />
          <Receive productId={product.productId} level={level} />
          <p class="soft">{t('countHelp')}</p>
        </div>
      )}
      {!writeInventory && <p class="soft">{t('writeScope')}</p>}
    </section>
  );
}
