// Package audit compares, product by product, the ledger, the levels, the
// reservations and Redis.
//
//	ledger        its movements follow from one another and add up to the level
//	reservations  reserved and committed units are those of open reservations
//	Redis         has the version and the contents that the database has
//
// There are two kinds of audit. [Run] compares everything once, for a command. A
// [Sampler] compares a small page at each step, beside the service, and begins
// again after the last product. It repairs what differs in Redis. A [Repairer]
// repairs products that writers, readers and subscribers find ahead of the database.
//
// Terms:
//
//	page        some products that follow one another by id
//	suspect     a product that differs in Redis, perhaps because Redis is only late
//	settle      the time a suspect is given to catch up
//	difference  a finding that cannot end by itself, or that outlasted the settle time
//	repair      replacing in Redis what is different there
//	ahead       a hash with a version of the current epoch that the database never gave
//	sighting    a version that seemed to be ahead; the database is read after it
//	incident    a difference from its first finding until it is repaired or gone
//
// Invariants:
//   - An audit may run beside live traffic. A product is read from the
//     database in one statement, and from Redis before that: a version in Redis must
//     have been in the database first.
//   - Stock in the database is never changed. Where readers may have believed a wrong
//     hash, a repair gives the product a version after it: no version goes back.
//   - An incident is counted once and logged once.
//   - Memory is bounded: one page, and the suspects, sightings and incidents.
//   - A step of the sampler is short. Its page shrinks where comparing is slow.
//
// May import: models and packages below it, database, rediscache, backoff, prometheus, the standard
// library. Database and cache come in through interfaces.
//
// When the database is gone, [Run] ends with an error and the sampler counts
// failed steps. When Redis is gone, [Run] retries a few times and then ends with
// an error, and the sampler compares the database alone.
package audit
