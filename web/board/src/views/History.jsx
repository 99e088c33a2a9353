// Stock and reservations over time. Dragging over the chart, or the slider, shows the stock at a past moment.
import { useEffect, useRef, useState } from 'preact/hooks';
import { access } from '../api/access.js';
import { ranges } from '../stock/product.js';
import { Choice } from '../ui/parts.jsx';
import { date, language, moment, shortClock, t } from '../words/words.js';

const sliderSteps = 500;

/** The chart's code is loaded when a chart is shown first. */
const loadChart = () => import('../chart/chart.js');

export function History({ state }) {
  const box = useRef();
  const chart = useRef(null);
  const [ready, setReady] = useState(null);
  const history = state.history.value;
  const at = state.at.value;
  const { readInventory } = access.value;
  const name = language.value;

  useEffect(() => { if (readInventory) loadChart().then((module) => setReady(() => module.makeChart)); }, [readInventory]);
  useEffect(() => {
    if (!ready || !box.current) return undefined;
    chart.current = ready(box.current, {
      labels: { available: t('available'), reserved: t('reservedColumn'), committed: t('committed'), onHand: t('onHand') },
      onMoment: (time) => state.travel(time),
      clock: shortClock,
      date,
    });
    if (state.history.peek()) chart.current.show(state.history.peek());
    return () => chart.current.destroy();
  }, [ready, name, state]);
  useEffect(() => { if (history) chart.current?.show(history); }, [history]);
  useEffect(() => { chart.current?.markMoment(at); }, [at, history]);

  if (!readInventory) return <section class="history"><h2>{t('overTime')}</h2><p class="soft">{t('historyScope')}</p></section>;
  const since = history ? Date.parse(history.since) : 0;
  const until = history ? Date.parse(history.until) : 1;
  const position = at ? Math.round(((at - since) / (until - since)) * sliderSteps) : sliderSteps;
  const onSlide = (event) => {
    const value = Number(event.currentTarget.value);
    state.travel(value >= sliderSteps ? 0 : since + ((until - since) * value) / sliderSteps);
  };
  return (
    <section class="history" aria-labelledby="history">
      <div class="bar">
        <h2 id="history">{t('overTime')}</h2>
        <Choice label={t('overTime')} options={Object.keys(ranges).map((range) => [range, t(range)])} value={state.range.value} onChange={(range) => { state.travel(0); state.setRange(range); }} />
      </div>
      <ul class="legend" aria-hidden="true">
        {[['available', 'available'], ['reserved', 'reservedColumn'], ['committed', 'committed']].map(([series, word]) => <li key={series} data-series={series}>{t(word)}</li>)}
      </ul>
      <div class="chart" ref={box} aria-hidden="true" />
      <label class="field travel"><span>{t('timeTravel')}</span>
        <input type="range" min={0} max={sliderSteps} value={position} aria-valuetext={at ? moment(at) : t('now')} onInput={onSlide} disabled={!history} />
        <output>{at ? moment(at) : t('now')}</output>
      </label>
      <p class="said" role="status" data-kind="bad">{state.historyError.value && t('historyFailed', { message: state.historyError.value })}</p>
      {history && !history.complete && <p class="soft">{t('historyCut')}</p>}
    </section>
  );
}
