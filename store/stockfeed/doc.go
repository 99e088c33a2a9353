// Package stockfeed carries committed changes: from the database's outbox to
// Redis (the [Relay]), and from Redis to whoever watches (the [Hub]).
//
// The relay empties the outbox. Every writer's transaction leaves a row there,
// whoever it was, so a change reaches Redis even if the process that made it
// died at once. The direct path is faster and has mostly been there before:
// the relay asks which versions were not published yet and carries only those.
//
// The hub holds one pub/sub connection for all watchers of the process. A
// message is a wake-up with the new value in it; what makes the feed right is
// that a value is read again whenever a message may have been missed. Each
// watcher has a mailbox with room for one value of each product it watches:
// one that does not keep up gets the latest value later, never a queue.
//
// May import: models, backoff, go-redis, x/sync, the standard library. The database and
// the cache come in through the interfaces and functions of the configs.
//
// What holds:
//   - The versions a watcher gets of a product strictly increase within an
//     epoch, in whatever order and however often messages come.
//   - Of two histories the one that the database is in wins. What comes of
//     another one is at most a reason to read again, so a watcher ends on the
//     database's value also after that was restored; a reservation that it then
//     does not have ends its watches.
//   - A watcher's first value is read after the subscription was confirmed. A
//     confirmation that comes later, or comes again because the connection was
//     lost, means that messages may be missing: the value is read again.
//   - The goroutine that reads the connection never waits for a watcher, a
//     read or a command; it only updates maps.
//   - Carrying a change twice does no harm, carrying it never is not possible:
//     a row is deleted after Redis has taken the change. The one exception is a
//     product whose rows cannot be read: Redis forgets it, the relay keeps it in
//     mind and tries again, and nobody else waits.
//   - Every goroutine belongs to a Hub or a Relay and ends before its Stop
//     returns.
//
// When Redis is gone: the hub goes on with what its own process commits
// ([Hub.Offer]), reads watched values again every few seconds, and subscribes
// anew by itself; a connection that has fallen silent is given up after three
// seconds. The relay keeps the rows, has the outbox compacted, and tries again
// every two seconds. When the database is gone: reads fail and are repeated,
// watchers keep what they have.
package stockfeed
