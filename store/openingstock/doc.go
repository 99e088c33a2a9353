// Package openingstock loads opening stock: the counted stock of a shop that begins to
// use Onhand, and the stock of the demo shop.
//
// It adds products, locations and channels, and then sets levels with ordinary
// stock writes. Unlike an import of a stock file, it leaves levels alone that have
// other stock already, unless the caller asks to replace them.
//
// Invariants:
//
//   - [Loader.Import] never puts back what was sold since: a level with other stock
//     than its count refuses the import.
//   - An import that was cut off is completed by importing the same counts again.
//   - [Loader.Seed] stocks an empty shop once, however many instances call it.
//
// May import: models and packages below it, database, the standard library. The database and the writer
// come in through interfaces.
//
// When the database is gone, loading ends with UNAVAILABLE. Redis is not used
// here; a write publishes what it committed.
package openingstock
