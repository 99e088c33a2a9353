// The page: its head, the view of the route, and beside it the cart and the lane.
import { useEffect, useRef, useState } from 'preact/hooks';
import { access } from './api/access.js';
import { second } from './api/clock.js';
import { link, silence } from './api/socket.js';
import { announcement, undo, undoable, unitCount } from './cart/cart.js';
import { CartPanel } from './cart/CartPanel.jsx';
import { linkTo, route, views } from './route.js';
import { useMedia } from './ui/media.js';
import { Dialog } from './ui/parts.jsx';
import { number, t, when } from './words/words.js';
import { Lane } from './views/Lane.jsx';
import { ListView } from './views/ListView.jsx';
import { MovementsView } from './views/MovementsView.jsx';
import { OperationsView } from './views/OperationsView.jsx';
import { ProductView } from './views/ProductView.jsx';
import { Settings } from './views/Settings.jsx';

const quietAfterMs = 13_000; // the server sends a ping every 10 s

// What is shown is true: a connection that is silent is not called live.
function Connection() {
  second.value; // eslint-disable-line no-unused-expressions -- the silence grows
  const { state, heard, reason } = link.value;
  const quiet = state === 'live' && silence() > quietAfterMs;
  let text = t(state, { time: heard ? when(heard) : '', reason });
  if (quiet) text = t('quiet', { n: Math.round(silence() / 1000) });
  else if (!heard && state !== 'refused') text = t('connecting');
  // Announced when the state changes, not each second of the silence.
  return <p class="connection" data-state={quiet ? 'quiet' : state} title={text}><span>{text}</span></p>;
}

function Stale() {
  const { state, heard, reason } = link.value;
  return <p class="hidden" role="status">{t(state, { time: heard ? when(heard) : '', reason })}</p>;
}

function Views({ names }) {
  const now = route.value;
  return (
    <nav aria-label={t('views')}>
      {names.map((name) => <a key={name} {...linkTo({ view: name })} aria-current={now.view === name ? 'page' : undefined}>{t(name)}</a>)}
    </nav>
  );
}

function Notices() {
  const { shoppers, demo, stock, known, problem } = access.value;
  if (!known && problem) return <p class="notice" role="alert" data-kind="bad">{t('noAnswer')} <span class="soft">{problem}</span></p>;
  if (known && !stock) return <p class="notice" role="alert" data-kind="bad">{t('needToken')} <span class="soft">{problem}</span></p>;
  if (!shoppers) return null;
  return <section class="notice" aria-label={t('shoppers')}>{demo && <b>{t('demo')}</b>} {t('shoppersOn')}</section>;
}

function Undo() {
  const offer = undoable.value;
  if (!offer) return null;
  return <section class="toast" aria-label={t('undo')}><span>{t('didReserve', offer)}</span> <button type="button" onClick={undo}>{t('undo')}</button></section>;
}

function View({ name }) {
  if (name === 'product') return <ProductView />;
  if (name === 'movements') return <MovementsView />;
  if (name === 'operations') return <OperationsView />;
  if (name === 'lane') return <Lane heading="h1" />;
  return <ListView key={name} />;
}

function onUndoKey(event) {
  if (!(event.ctrlKey || event.metaKey) || event.key !== 'z' || !undoable.peek() || event.target.matches('input, textarea, select')) return;
  event.preventDefault();
  undo();
}

export function App() {
  const { view } = route.value;
  const isWide = useMedia('(min-width: 1180px)');
  const [cartOpen, setCartOpen] = useState(false);
  const main = useRef();
  useEffect(() => {
    addEventListener('keydown', onUndoKey);
    return () => removeEventListener('keydown', onUndoKey);
  }, []);
  const names = views.filter((name) => (name !== 'lane' || !isWide) && (name !== 'operations' || access.value.admin || view === name));
  const units = unitCount.value;
  const isReady = access.value.known; // what the caller may do decides on what is where
  return (
    <div class="page" data-stale={link.value.state === 'live' || !link.value.heard ? undefined : ''}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>{t('skip')}</a>
      <header class="top">
        <a class="brand" {...linkTo({ view: 'stock' })}>Onhand</a>
        <Views names={isReady ? names : []} />
        <Connection />
        {!isWide && <button type="button" class="plain" onClick={() => setCartOpen(true)}>{t('cart')} <span class="count">{number(units)}</span></button>}
        <Settings />
      </header>
      <Stale />
      <Notices />
      {isReady && <div class="body">
        <main id="main" tabIndex={-1} ref={main}><View name={view} /></main>
        {isWide && <aside tabIndex={-1} aria-label={t('cart')}><CartPanel />{view !== 'lane' && <Lane />}</aside>}
      </div>}
      <Undo />
      <p class="hidden" role="status" aria-live="polite">{announcement.value}</p>
      {cartOpen && <Dialog title={t('cart')} onClose={() => setCartOpen(false)}><CartPanel /></Dialog>}
    </div>
  );
}
