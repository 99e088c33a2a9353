// Every document that the board sends. The views show them as they are here.

export const accessQuery = `query Access {
  shop { demo simulatedShoppers }
  locations { locationId name active }
  channels { channelId name locations { locationId } }
  stockMovements(first: 1) { nodes { id } }
  reservations(first: 1) { nodes { id } }
  operations { asOf }
}`;

const stockFields = `productId status quantityAvailable availableForSale nextRestockAt version
  levels @include(if: $levels) { location { locationId } available }`;

export const productsQuery = `query Products(
  $first: Int, $after: String, $last: Int, $before: String,
  $filter: ProductFilter, $orderBy: ProductOrder!, $channel: ID, $levels: Boolean!
) {
  products(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) {
    nodes {
      productId title tracked inventoryPolicy lowStockThreshold maxPerReservation
      stock(channel: $channel) {
        ${stockFields.replaceAll('\n', '\n      ')}
      }
    }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount
  }
}`;

export const stockSubscription = `subscription Stock($ids: [ID!]!, $channel: ID, $levels: Boolean!) {
  stockChanged(productIds: $ids, channel: $channel) {
    ${stockFields.replaceAll('\n', '\n  ')}
  }
}`;

export const historiesQuery = `query LastHour($ids: [ID!]!, $since: Time!, $points: Int!, $channel: ID) {
  stockHistories(productIds: $ids, since: $since, points: $points, channel: $channel) {
    productId
    since
    until
    points { available }
  }
}`;

export const statusSubscription = `subscription StatusChanges($channel: ID) {
  stockStatusChanged(channel: $channel) {
    productId
    product { title }
    status
    previousStatus
    occurredAt
    stock { quantityAvailable }
  }
}`;

const exactFields = `productId status quantityAvailable availableForSale nextRestockAt version asOf
    onHand reserved committed incoming
    levels {
      location { locationId name active }
      available reserved committed damaged qualityControl safetyStock incoming onHand
    }`;

const publicFields = 'productId status quantityAvailable availableForSale nextRestockAt version asOf';

const productFields = 'productId title tracked inventoryPolicy backorderLimit lowStockThreshold maxPerReservation maxPerOwner ownerPeriodSeconds';

/** The document of a product's page, for a caller who may read exact stock or not. */
export const productQuery = (exact) => `query Product($id: ID!, $channel: ID) {
  product(id: $id) {
    ${productFields}
    stock(channel: $channel) {
    ${exact ? exactFields : publicFields}
    }
  }
}`;

export const productSubscription = (exact) => `subscription Product($ids: [ID!]!, $channel: ID) {
  stockChanged(productIds: $ids, channel: $channel) {
    ${exact ? exactFields : publicFields}
  }
}`;

export const pastQuery = `query PastStock($id: ID!, $channel: ID, $at: Time!) {
  stock(productId: $id, channel: $channel, asOf: $at) {
    ${exactFields}
  }
}`;

export const historyQuery = `query History($id: ID!, $since: Time!, $points: Int!, $channel: ID) {
  stockHistory(productId: $id, since: $since, points: $points, channel: $channel) {
    since
    until
    complete
    points { at available reserved committed }
  }
}`;

const movementFields = `id productId
      product { title }
      location { locationId name }
      changes { state delta after }
      reason note reference actor version createdAt cursor`;

export const movementsQuery = `query Movements($first: Int!, $filter: StockMovementFilter) {
  stockMovements(first: $first, filter: $filter) {
    nodes {
      ${movementFields}
    }
  }
}`;

export const movementsSubscription = `subscription Movements($after: String, $filter: StockMovementFilter) {
  stockMoved(after: $after, filter: $filter) {
      ${movementFields}
  }
}`;

const reservationFields = `id state orderRef expiresAt version
      lines { productId product { title maxPerReservation } requested quantity }`;

const payload = `serverTime
    replayed
    reservation {
      ${reservationFields}
    }
    errors {
      __typename message path code
      ... on InsufficientStockError { productId requested available }
      ... on QuantityLimitExceededError { productId limit periodSeconds }
    }`;

export const reserveMutation = `mutation Reserve($input: ReserveStockInput!) {
  reserveStock(input: $input) {
    ${payload}
  }
}`;

export const updateMutation = `mutation ChangeCart($input: UpdateReservationInput!) {
  updateReservation(input: $input) {
    ${payload}
  }
}`;

export const extendMutation = `mutation Extend($input: ExtendReservationInput!) {
  extendReservation(input: $input) {
    ${payload}
  }
}`;

export const releaseMutation = `mutation Release($input: ReleaseReservationInput!) {
  releaseReservation(input: $input) {
    ${payload}
  }
}`;

export const commitMutation = `mutation Order($input: CommitReservationInput!) {
  commitReservation(input: $input) {
    ${payload}
  }
}`;

export const reservationQuery = `query Cart($id: ID!) {
  serverTime
  reservation(id: $id) {
      ${reservationFields}
  }
}`;

export const reservationSubscription = `subscription Cart($id: ID!) {
  reservationChanged(id: $id) {
      ${reservationFields}
  }
}`;

const stockPayload = `replayed
    stocks { productId quantityAvailable version }
    errors {
      __typename message path code
      ... on StaleQuantityError { expected actual }
    }`;

export const countMutation = `mutation Count($input: SetStockInput!) {
  setStock(input: $input) {
    ${stockPayload}
  }
}`;

export const receiveMutation = `mutation Receive($input: AdjustStockInput!) {
  adjustStock(input: $input) {
    ${stockPayload}
  }
}`;

export const operationsQuery = `query Operations {
  operations {
    asOf
    instance {
      version startedAt uptimeSeconds
      writes writesPerSecond reservationsPerSecond transactionsPerSecond
      watches watchedProducts sockets simulatedShoppers
      nearCache { fresh entries bytes hitRatio }
      relay { drained failures lagSeconds }
      audit { productsCompared repairs lastPassEndedAt differences { kind count } }
    }
    shared {
      activeReservations outboxLength products
      database { up embedded roundTripMs connections connectionsInUse }
      redis { up embedded }
    }
  }
}`;
