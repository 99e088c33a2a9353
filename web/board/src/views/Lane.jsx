// The lane of what just sold out, ran low or came back.
import { access } from '../api/access.js';
import { kindOf, lane, laneSince } from '../stock/lane.js';
import { statusSubscription } from '../api/documents.js';
import { linkTo, route } from '../route.js';
import { Quantity, useHeld } from '../ui/parts.jsx';
import { QueryButton } from '../ui/query.jsx';
import { t, when } from '../words/words.js';

export function Lane({ heading: Heading = 'h2' }) {
  const { shown, waiting, release, props } = useHeld(lane.value, ({ key }) => key);
  const documents = [{ query: statusSubscription, variables: { channel: route.value.channel || null }, live: true }];
  return (
    <section class="lane" aria-labelledby="lane" {...props}>
      <div class="bar">
        <Heading id="lane">{t('lane')}</Heading>
        {waiting > 0 && <button type="button" class="plain" onClick={release}>{t('waitingNew', { n: waiting })}</button>}
        <QueryButton documents={documents} />
      </div>
      {!shown.length && <p class="soft">{access.value.readInventory ? t('laneEmpty', { time: when(laneSince) }) : t('laneScope')}</p>}
      <ol>
        {shown.map((change) => (
          <li key={change.key} data-kind={kindOf(change)}>
            <time dateTime={change.occurredAt}>{when(change.occurredAt)}</time>
            <a {...linkTo({ product: change.productId })}>{change.product.title ?? change.productId}</a>
            <span class="what">{t(kindOf(change))}</span>
            <span class="number">{change.stock && <Quantity value={change.stock.quantityAvailable} />}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
