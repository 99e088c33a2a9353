export default {
  title: 'Onhand · live stock',
  stock: 'Stock', low: 'Low stock', movements: 'Movements', operations: 'Operations', cart: 'Cart', product: 'Product',
  skip: 'Skip to the list', views: 'Views', settings: 'Settings',
  // The connection.
  connecting: 'Connecting', live: 'Live', quiet: 'No signal for {n} s', reconnecting: 'Reconnecting · stale since {time}', refused: 'Stopped: {reason}',
  noAnswer: 'The server does not answer yet. It is asked again.',
  shoppersOn: 'Simulated shoppers are on: they reserve, order and return.', demo: 'Demo shop',
  // Settings.
  language: 'Language', theme: 'Theme', themeAuto: 'Auto', themeLight: 'Light', themeDark: 'Dark', signIn: 'Sign in', signOut: 'Sign out', signedIn: 'Signed in',
  tokenLabel: 'Bearer token', tokenHelp: 'From the shop’s identity provider, or from the command “onhand token”. It stays in this page.', tokenKeep: 'Keep it until this tab is closed',
  tokenUse: 'Use the token', close: 'Close', back: 'Back to the list', playground: 'Playground',
  openMode: 'This server checks no tokens: everything is allowed here.', needScope: 'This needs a token with the scope {scope}.', needToken: 'This server needs a token to show stock.',
  scopes: 'The token allows', nothing: 'nothing more than an anonymous caller may',
  // The list.
  filters: 'Filters', search: 'Search', searchHint: 'Title or product id', status: 'Status', location: 'Location', channel: 'Channel', all: 'All', anyStatus: 'Any status', sort: 'Sort',
  sortId: 'Product id', sortTitle: 'Title', 'sortQuantity': 'Quantity, lowest first', 'sort-quantity': 'Quantity, highest first', clear: 'Clear filters',
  columnStatus: 'Status', columnProduct: 'Product', columnHour: 'Last hour', columnQuantity: 'Available', columnHere: 'Here', columnChange: 'Change', columnAction: 'Cart',
  productsLoaded: '{n} products', oneProduct: '1 product', productsLoading: '{n} products, loading more…', productsPart: 'The first {n} products. More come as you scroll.', productsCut: 'The first {n} products. Search finds the others.', noProducts: 'No product matches.', emptyShop: 'There are no products yet. “onhand demo” loads a demo shop.',
  updateList: 'Update the list', loadingList: 'Loading products…', listFailed: 'The list could not be read: {message}',
  IN_STOCK: 'In stock', LOW_STOCK: 'Low', OUT_OF_STOCK: 'Sold out', BACKORDER: 'Backorder',
  untracked: 'Not tracked', restock: 'More on {date}', reserve: 'Reserve', reserveOne: 'Reserve 1 of {title}', reserved: 'Reserved', keys: 'Arrow keys move, Enter opens a product, R reserves one, / searches.',
  productsList: 'Products', quantityOf: '{n} available', neverChanged: 'no change yet',
  lowHelp: 'Products at or below their low-stock threshold, sold out or on backorder. Lowest first.',
  // The lane.
  lane: 'Just now', laneEmpty: 'What sells out, runs low or comes back appears here. Nothing since {time}.', soldOut: 'sold out', ranLow: 'ran low', cameBack: 'came back', onBackorder: 'on backorder', waitingNew: 'Show {n} new', laneScope: 'What sells out appears here, with a token that has the scope read:inventory.',
  // A product.
  levels: 'Levels', levelsScope: 'Quantities by location need a token with the scope read:inventory.', available: 'Available', reservedColumn: 'Reserved', committed: 'Committed', damaged: 'Damaged', onHand: 'On hand', incoming: 'Incoming', other: 'Other', total: 'Total', inactive: 'closed',
  overTime: 'Over time', hour: 'Hour', day: 'Day', week: 'Week', month: '30 days', historyScope: 'The history needs a token with the scope read:inventory.', historyCut: 'Older moments are beyond what one read returns.', timeTravel: 'Moment', now: 'Now', backToNow: 'Back to now', pastAt: 'As of {time}', historyFailed: 'The history could not be read: {message}',
  threshold: 'Low at', limitPerCart: 'Limit per cart', limitPerOwner: 'Limit per customer', within: '{n} within {period}', policy: 'When it runs out', DENY: 'stop selling', CONTINUE: 'sell on backorder', unknownProduct: 'There is no product {id}.', none: 'none',
  // Counting.
  edit: 'Edit', count: 'Count', counted: 'Counted at {location}', countSave: 'Save the count', receive: 'Receive', receivedUnits: 'Units received at {location}', reference: 'Document', saved: 'Saved', countIs: 'Counted {n}', countHelp: 'A count is compared with the quantity that you saw when you began.',
  stale: 'The quantity changed while you counted: it was {expected}, now it is {actual}.', recount: 'Count again', takeNew: 'Keep {actual}', setAnyway: 'Set {n} all the same', writeScope: 'Counting and receiving need a token with the scope write:inventory.', notNumber: 'Enter a whole number, 0 or more.', notPositive: 'Enter a whole number, 1 or more.', keptNew: 'The quantity stays at {actual}.',
  // Movements.
  time: 'Time', reason: 'Reason', change: 'Change', details: 'Details', pause: 'Pause', resume: 'Resume', paused: 'Paused at {time}. Resume shows all that came since, in order.', movementsScope: 'The ledger needs a token with the scope read:inventory.', noMovements: 'No movement yet.', anyReason: 'Any reason', movementsOf: 'Movements of the product', feedCut: 'The newest {n} are shown.', feedFailed: 'The feed stopped: {message}',
  RESERVED: 'reserved', RESERVATION_UPDATED: 'cart changed', RELEASED: 'released', EXPIRED: 'expired', COMMITTED: 'ordered', FULFILLED: 'shipped', CANCELLED: 'cancelled', IMPORT: 'imported', EXTERNAL: 'other program', RECEIVED: 'received', RETURNED: 'returned', CORRECTION: 'correction', CYCLE_COUNT: 'count', DAMAGED: 'damaged', SHRINKAGE: 'missing', PROMOTION: 'given away', OTHER: 'other',
  s_AVAILABLE: 'available', s_RESERVED: 'reserved', s_COMMITTED: 'committed', s_DAMAGED: 'damaged', s_QUALITY_CONTROL: 'in inspection', s_SAFETY_STOCK: 'safety stock', s_INCOMING: 'incoming',
  // The cart.
  cartEmpty: 'The cart is empty. Reserve a product: its units are kept for you until the time is over.', timeLeft: 'Time left', extend: 'Extend', order: 'Order', release: 'Release', remove: 'Remove', more: 'One more of {title}', less: 'One less of {title}', cartExpired: 'The time is over. The units are available again.', cartOrdered: 'Ordered as {ref}.', cartReleased: 'Released.', newCart: 'New cart', undo: 'Undo', didReserve: 'Reserved 1 × {title}', undone: 'Undone', orderScope: 'To order needs a token with the scope write:orders.', units: '{n} units', busy: 'Working…', minuteLeft: 'One minute left in the cart.', cartCancelled: 'The order was cancelled.', cartShipped: 'The order was shipped.',
  // Refusals.
  INSUFFICIENT_STOCK: '{productId}: only {available} left.', QUANTITY_LIMIT_EXCEEDED: '{productId}: at most {limit} at a time.', ownerLimit: '{productId}: at most {limit} for one customer within {period}, orders included.', RESERVATION_NOT_ACTIVE: 'The cart is not active any more.', NETWORK: 'No answer from the server.',
  // The query.
  query: 'GraphQL', queryOf: 'The query of this view', copyQuery: 'Copy query', copyCurl: 'Copy as curl', copied: 'Copied', variables: 'Variables', copyFailed: 'Select the text and copy it.',
  // Operations.
  opsScope: 'This needs a token with the scope admin.', instance: 'This instance', shared: 'Shared by all instances', writesRate: 'Writes/s', reservationsRate: 'Reservations/s', transactionsRate: 'Transactions/s', activeReservations: 'Active reservations', watchers: 'Live subscriptions', watched: 'of {n} products', watchedOne: 'of 1 product', streams: 'WebSockets', relayLag: 'Relay lag', outbox: 'Outbox', nearCache: 'Near cache', hitRatio: '{n} % hits', audit: 'Audit', compared: '{n} products compared', repairs: '{n} repairs', noFindings: 'No findings', findings: '{n} findings', lastPass: 'Last pass', never: 'not yet', database: 'Database', redis: 'Redis', up: 'Up', down: 'Down', embedded: 'embedded', connections: '{used} of {n} connections', version: 'Version', uptime: 'Up for', shoppers: 'Simulated shoppers', productsCount: 'Products', asOf: 'Measured at {time}', seconds: '{n} s', lastMinutes: 'last {n} minutes',
};
