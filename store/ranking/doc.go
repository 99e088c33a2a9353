// Package ranking has lists of products in the order of their quantity.
//
// No index has that order: a hot product would move in it with every write. So an
// instance sorts the products that match a filter in memory, and pages through that list
// for some seconds.
//
// Terms: a ranking is the list of the ids that match a filter, by quantity, as of one
// moment. Statuses are not part of that filter: they are looked at page by page.
//
// Invariants:
//
//   - A ranking has at most 200,000 products and 16 MiB. At most [rankingsMax] of together
//     [keptBytesMax] are kept.
//   - Callers that need the same ranking at the same time share one reading.
//   - The work for one page is bounded.
//
// May import: models, paging, readthrough. The database comes in through an interface.
// When it is gone, a page that needs another ranking is UNAVAILABLE.
package ranking
