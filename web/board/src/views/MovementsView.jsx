// The feed of all movements.
import { access, places } from '../api/access.js';
import { movementsQuery, movementsSubscription } from '../api/documents.js';
import { session } from '../api/socket.js';
import { go, route } from '../route.js';
import { shownMax } from '../stock/movements.js';
import { Select } from '../ui/parts.jsx';
import { QueryButton } from '../ui/query.jsx';
import { t } from '../words/words.js';
import { MovementList } from './MovementList.jsx';

const reasons = ['RESERVED', 'RESERVATION_UPDATED', 'RELEASED', 'EXPIRED', 'COMMITTED', 'FULFILLED', 'CANCELLED', 'IMPORT', 'EXTERNAL',
  'RECEIVED', 'RETURNED', 'CORRECTION', 'CYCLE_COUNT', 'DAMAGED', 'SHRINKAGE', 'PROMOTION', 'OTHER'];

export function MovementsView() {
  const { reason, location } = route.value;
  if (!access.value.readInventory) return <p class="soft">{t('movementsScope')}</p>;
  const filter = { ...(reasons.includes(reason) && { reason }), ...(location && { locationId: location }) };
  const documents = [
    { query: movementsQuery, variables: { first: 50, filter } },
    { query: movementsSubscription, variables: { after: null, filter }, live: true },
  ];
  return (
    <section class="movements" aria-labelledby="movements">
      <div class="bar"><h1 id="movements">{t('movements')}</h1><QueryButton documents={documents} /></div>
      <div class="filters open">
        <Select label={t('reason')} value={reason} onChange={(value) => go({ reason: value })} options={[['', t('anyReason')], ...reasons.map((name) => [name, t(name)])]} />
        <Select label={t('location')} value={location} onChange={(value) => go({ location: value })} options={[['', t('all')], ...places.value.locations.map(({ locationId, name }) => [locationId, name])]} />
      </div>
      <MovementList key={session.value} filter={filter} />
      <p class="soft">{t('feedCut', { n: shownMax })}</p>
    </section>
  );
}
