// Package stockfeed moves committed changes from the database's outbox to Redis
// (the [Relay]), and from Redis to the watches of this instance (the [Hub]).
//
// Terms:
//   - Drain: the relay locks outbox rows, publishes the changes that Redis has
//     not published yet, and deletes the rows.
//   - Watch: what one client follows, some products or one reservation.
//   - Topic: one id that is watched, with its Redis channel and latest value.
//   - Conflating queue: what a watch has not taken yet. It keeps the newest value
//     of each id, so a slow client gets the latest value later, never a backlog.
//   - Refresh: to read a watched value again, because messages may be missing.
//   - Poison row: a row that makes its product unreadable.
//
// May import: models and packages below it, models/stockbinary, backoff, go-redis, x/sync, the standard
// library.
//
// Invariants:
//   - Within an epoch the versions that a watch gets of a product strictly
//     increase, in whatever order messages arrive.
//   - The database's epoch wins over any other. A value of another epoch causes
//     a refresh, so a watch ends on the database's value after a restore too.
//     Watches of a reservation that the restored database lacks end.
//   - The first value of a watch was read after Redis confirmed the subscription:
//     for this watch, or for an earlier one of the same topic while the connection
//     is alive. A later confirmation, or one after a reconnect, causes a refresh.
//   - The goroutine that reads the Redis connection never blocks on a watch, a
//     read or a command.
//   - Delivery to Redis is at least once: rows are deleted after Redis has
//     applied the change. A product with a poison row is the exception: the relay
//     removes it from Redis, deletes its rows and retries from memory.
//   - Every goroutine belongs to a Hub or a Relay and ends before its Stop
//     returns.
//
// When Redis is gone: the hub delivers what this instance commits
// ([Hub.Deliver]), refreshes watched values every few seconds, and reconnects by
// itself; it gives up a silent connection after three seconds. The relay keeps
// the rows, compacts the outbox, and retries every two seconds. When the
// database is gone: reads are retried, and watches keep the values they have.
package stockfeed
