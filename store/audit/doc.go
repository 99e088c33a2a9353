// Package audit proves, product by product, that the ledger, the levels, the
// reservations and Redis say the same.
//
//	ledger        its movements follow from one another and add up to the level
//	reservations  reserved and committed units are those of open reservations
//	Redis         has the version and the contents that the database has
//
// There are two kinds of audit. [Run] compares everything once, for a command. A
// [Sampler] compares a small page at each step, beside the service, and begins
// again after the last product.
//
// Terms:
//
//	page        some products that follow one another by id
//	suspect     a product that Redis seems to be wrong about, and may only be late
//	settle      the time a suspect is given to catch up
//	difference  a finding that time cannot heal, or that outlasted the settle time
//	repair      replacing in Redis what is different there
//
// Invariants:
//
//   - An audit may run beside live traffic. What the database says of a product is
//     read in one statement, and Redis is read before it: a version in Redis must
//     have been in the database first.
//   - The database is never changed.
//   - Memory is bounded: one page, and a bounded number of suspects.
//   - A step of the sampler is short. Its page shrinks where comparing is slow.
//
// May import: models, database, rediscache, prometheus, the standard library.
// Database and cache come in through interfaces.
//
// When the database is gone, [Run] ends with an error and the sampler counts
// failed steps. When Redis is gone, [Run] retries a few times and then ends with
// an error, and the sampler compares the database alone.
package audit
