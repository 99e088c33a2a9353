// Package upkeep does the periodic work of an instance.
//
//	epoch check    notices a database or a Redis that went back in time, and starts
//	               a new epoch ([EpochCheck], [CurrentEpoch])
//	directory      keeps all locations and channels in memory ([DirectoryCache])
//	sweeper        ends reservations whose time to live is over ([Sweeper])
//	claim          keeps instances that do not share a Redis from serving one
//	               database ([ServingClaim])
//	retention      deletes old idempotency keys ([DeleteOldKeys])
//	preload        reads products before the first request asks for them ([Preload])
//
// Terms:
//
//	epoch      names the period in which versions compare; a restored database or
//	           Redis starts a new one. Values of another epoch are not used.
//	sequence   the largest outbox id ever given. It falls only when the database
//	           goes back in time.
//	watermark  the epoch and the largest outbox id that Redis is known to have
//	           reached, with the run ids of its servers
//
// Invariants:
//
//   - Only the epoch check sets the current epoch. Answers of several connections
//     may overtake each other while a database is replaced, so readers compare
//     what they find and have the check run; they do not decide.
//   - The epoch check reads the watermark before the database. A database that is
//     read later can only be further, unless it went back in time.
//   - No reading of the directory replaces a later one.
//   - Every instance sweeps. Sweepers skip rows that others have locked.
//   - Every step has a time limit. Intervals are jittered.
//
// May import: models and packages below it, database, rediscache, backoff, outage, the standard library. What
// it works on comes in through interfaces.
//
// When Redis is gone, the check goes on with the database alone, and readers
// bypass the cache for some seconds after Redis is back. When the database is
// gone, every step fails and is repeated at its next turn.
package upkeep
