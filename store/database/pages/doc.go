// Package pages reads lists of products and of reservations in pages.
//
// Terms:
//
//   - page: a part of a list, forwards or backwards from a position. A position is a
//     key of the list, not an offset: a page costs the same wherever it is.
//   - window: the part of the list that one SELECT looks through. A filter without an
//     index of its own, for example a stock status, is compared with every entry of a
//     window.
//
// Invariants:
//
//   - The work for one page is bounded: so many windows of so many entries. A page
//     whose search ends at that bound may have fewer entries than asked for, or none.
//     It still says that there is a next page.
//   - No list needs an index that a sale would have to update: the reader does the
//     work. On Postgres, BRIN summaries find reservations by time and by reference.
//   - A stock status is computed by models.Stock, never by SQL. SQL only leaves out
//     products that cannot have the status.
//
// May import: models and packages below it, dialect, decide. When the database is gone, every read is
// UNAVAILABLE.
package pages
