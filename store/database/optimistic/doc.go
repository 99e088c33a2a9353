// Package optimistic decides reservations before their transaction begins, on a
// snapshot cache of products, and has the database check the assumptions under lock.
//
// # Terms
//
//	snapshot cache         products with their levels as of a version, kept in the process
//	optimistic batch       reservations decided on the snapshot cache
//	compare-and-set        the batch names exact versions; any other version refuses it
//	conditional decrement  the batch names the settings revision and asks for enough stock
//	contended              changed by another instance too
//	stale                  no reservation may be decided on it; the next read under lock
//	                       replaces it
//
// # States of a batch
//
//	open --Close--> closed --Commit--> committed
//	  |                |         `---> refused or failed --Discard
//	  `----Discard-----'
//
// While one batch commits, the next one is decided on what the first leaves behind
// from Close on. It commits after the first, and is refused if the first was.
//
// A batch with a contended product of one level is a conditional decrement, so that
// several instances can sell it at once. A contended product with several levels is decided
// under lock instead.
//
// # Invariants
//
//   - The snapshot cache decides nothing: the database checks every assumption under
//     lock, and a refused batch has no effect.
//   - A cached product never goes back to an older version within one epoch.
//   - The cache has at most [CachedProductsMax] products.
//
// May import: models and packages below it, decide and packages below it, dialect. When the database is gone, Commit and Fetch
// return UNAVAILABLE within their timeout; Add goes on deciding on the cache.
package optimistic
