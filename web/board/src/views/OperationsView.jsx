// What the server does now, for its operators.
import { useEffect, useState } from 'preact/hooks';
import { access } from '../api/access.js';
import { operationsQuery } from '../api/documents.js';
import { ask } from '../api/http.js';
import { session } from '../api/socket.js';
import { QueryButton } from '../ui/query.jsx';
import { clock, countdown, number, t } from '../words/words.js';

const intervalMs = 1_000;
const keptSamples = 300;

const rate = (value) => (value < 10 ? value.toFixed(1) : number(Math.round(value)));
const known = (value) => (value === null || value === undefined ? '–' : number(value));

function Trend({ values }) {
  const high = Math.max(1, ...values);
  const path = values.map((value, i) => `${i ? 'L' : 'M'}${((i / (keptSamples - 1)) * 160).toFixed(1)} ${(31 - (value / high) * 30).toFixed(1)}`).join('');
  return <svg class="trend" viewBox="0 0 160 32" preserveAspectRatio="none" aria-hidden="true"><path d={path} /></svg>;
}

const Figure = ({ label, value, detail, values, kind }) => (
  <div class="figure" data-kind={kind}>
    <dt>{label}</dt>
    <dd><strong>{value}</strong>{detail !== undefined && <span class="soft">{detail || '\u00a0'}</span>}{values && <Trend values={values} />}</dd>
  </div>
);

function useSamples() {
  const [samples, setSamples] = useState([]);
  const [error, setError] = useState('');
  const client = session.value;
  useEffect(() => {
    let stopped = false;
    let timer;
    const read = async () => {
      try {
        const { operations } = await ask(operationsQuery);
        if (stopped) return;
        setSamples((now) => [...now, operations].slice(-keptSamples));
        setError('');
      } catch (err) {
        if (!stopped) setError(err.message);
      }
      if (!stopped) timer = setTimeout(read, document.hidden ? 10 * intervalMs : intervalMs);
    };
    read();
    return () => { stopped = true; clearTimeout(timer); };
  }, [client]);
  return { samples, error };
}

function watched({ watches, watchedProducts }) {
  if (!watches) return '';
  return watchedProducts === 1 ? t('watchedOne') : t('watched', { n: watchedProducts });
}

function Instance({ samples, now }) {
  const { instance } = now;
  const trend = (name) => samples.map((sample) => sample.instance[name]);
  const { nearCache, relay, audit } = instance;
  const findings = audit.differences.reduce((sum, { count }) => sum + count, 0);
  return (
    <section aria-labelledby="instance">
      <h2 id="instance">{t('instance')}</h2>
      <dl class="figures">
        <Figure label={t('writesRate')} value={rate(instance.writesPerSecond)} values={trend('writesPerSecond')} />
        <Figure label={t('reservationsRate')} value={rate(instance.reservationsPerSecond)} values={trend('reservationsPerSecond')} />
        <Figure label={t('transactionsRate')} value={rate(instance.transactionsPerSecond)} values={trend('transactionsPerSecond')} />
        <Figure label={t('watchers')} value={number(instance.watches)} detail={watched(instance)} values={trend('watches')} />
        <Figure label={t('streams')} value={number(instance.sockets)} />
        <Figure label={t('relayLag')} value={t('seconds', { n: Number(relay.lagSeconds.toFixed(1)) })} kind={relay.lagSeconds > 10 ? 'bad' : ''} />
        <Figure label={t('nearCache')} value={number(nearCache.entries)} detail={nearCache.hitRatio === null ? '' : t('hitRatio', { n: Math.round(nearCache.hitRatio * 100) })} />
        <Figure label={t('audit')} value={findings ? t('findings', { n: findings }) : t('noFindings')} kind={findings ? 'bad' : 'good'}
          detail={`${t('compared', { n: audit.productsCompared })} · ${t('repairs', { n: audit.repairs })} · ${t('lastPass')}: ${audit.lastPassEndedAt ? clock(audit.lastPassEndedAt) : t('never')}`} />
        <Figure label={t('shoppers')} value={number(instance.simulatedShoppers)} />
        <Figure label={t('uptime')} value={countdown(instance.uptimeSeconds * 1000)} detail={`${t('version')}: ${instance.version}`} />
      </dl>
      {findings > 0 && <ul class="findings">{audit.differences.map(({ kind, count }) => <li key={kind}>{kind}: {number(count)}</li>)}</ul>}
    </section>
  );
}

function Shared({ now }) {
  const { database, redis, activeReservations, outboxLength, products } = now.shared;
  return (
    <section aria-labelledby="shared">
      <h2 id="shared">{t('shared')}</h2>
      <dl class="figures">
        <Figure label={t('activeReservations')} value={known(activeReservations)} />
        <Figure label={t('outbox')} value={known(outboxLength)} />
        <Figure label={t('productsCount')} value={known(products)} />
        <Figure label={t('database')} value={t(database.up ? 'up' : 'down')} kind={database.up ? 'good' : 'bad'}
          detail={`${database.embedded ? 'SQLite' : 'Postgres'} · ${database.roundTripMs === null ? '–' : `${database.roundTripMs.toFixed(1)} ms`} · ${t('connections', { used: database.connectionsInUse, n: database.connections })}`} />
        <Figure label={t('redis')} value={t(redis.up ? 'up' : 'down')} kind={redis.up ? 'good' : 'bad'} detail={redis.embedded ? t('embedded') : ''} />
      </dl>
    </section>
  );
}

function Panel() {
  const { samples, error } = useSamples();
  const now = samples.at(-1);
  return (
    <>
      <p class="said" role="status" data-kind="bad">{error}</p>
      {now && (
        <div class={error ? 'past' : ''}>
          <p class="soft">{t('asOf', { time: clock(now.asOf) })}</p>
          <Instance samples={samples} now={now} />
          <Shared now={now} />
        </div>
      )}
    </>
  );
}

export const OperationsView = () => (
  <section class="operations" aria-labelledby="operations">
    <div class="bar"><h1 id="operations">{t('operations')}</h1><QueryButton documents={[{ query: operationsQuery, variables: {} }]} /></div>
    {access.value.admin ? <Panel /> : <p class="soft">{t('opsScope')}</p>}
  </section>
);
