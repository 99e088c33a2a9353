// Package faults proves that nothing is lost while machines die. Each scenario is a Go test that starts a shop of real
// processes (copies of the server, Postgres, Redis, proxies between them), sets customers on it, breaks something, and
// then checks the invariants below. It is a module of its own, so that the product does not carry what only it needs.
//
//	make fault                              all scenarios, one after the other
//	make fault ARGS='-run F07 -v'           one of them
//	make fault ARGS='-run F07 -seed 12345'  again, with the choices of a run that printed this seed
//	make fault ARGS='-server-race'          the copies built with the race detector, within the same bounds
//	make races                              that, the checkers, and the tests of the product under the detector (25 minutes)
//	make soak FOR=1h                        load for an hour with a fault now and then: does anything grow? (3 minutes)
//
// # A scenario in ten lines
//
//	func TestF01RedisKilled(t *testing.T) {
//		s := Open(t, Plan{Shoppers: 6})      // two copies, four products with stock, subscribers on both; [Plan] says what else
//		load := s.Load()                     // customers hold, order, release, extend, read; shoppers read pages
//		load.More(500)                       // wait for so many operations, never for time
//		s.Must(s.Redis.Kill())               // the fault; Outage(func) where something that falls due in it may be late
//		load.More(500)
//		s.Must(s.Redis.Start())              // heal it
//		load.More(500)
//		load.Stop()                          // customers finish what they have begun
//		assert.Zero(t, load.Pages(0, -1).Failed)
//		s.Check()                            // I1 to I9
//	}
//
// What a scenario can break: [Copy] is stopped, killed, frozen, thawed and started on its port; s.Redis and, with
// Plan.PrivatePostgres, s.Postgres too ([storetest.PostgresServer]: also Abort, an immediate shutdown); with Plan.Proxied
// each copy has a [Proxy] to either, to be slowed, cut, reset, or made to swallow one direction. Copy.Metrics reads
// /metrics. Scene.LoadOf gives customers another habit than shopping; Scene.Customer is one to be sent where you like, in a
// silence in which no later write makes up for what went wrong. Plan.Cluster gives six Redis nodes ([Cluster]), Plan.Standby
// a second Postgres to be promoted, Plan.Skews copies with wrong clocks (skew.go); libfaketime moves the clock of a Postgres
// (clock_test.go). Plan.Short puts a scenario into the subset that
// `make test` runs; keep that below a minute.
//
// # What is checked
//
// A customer repeats a write with the same key, over all copies, until there is a definite answer, and records it as one
// operation with the time of the first call and that of the answer. [Linearizable] asks porcupine, product by product,
// for an order that explains every answer; the rules are in step (model.go) and fit a screen. An operation without an
// answer at the end is pending: it may have happened or not. Reads ask for a version that nobody has, so that the
// database answers. The shortages of a refused cart are checked like reads. Holds end in the history when the ledger says
// that they expired.
//
//	I1  the history is linearizable                                         Check, Linearizable
//	I2  available is never below its floor, at any row of the ledger        CheckDatabase
//	I3  an acknowledged key happened once, and gives the same answer again  checkPromises, checkHolds
//	I4  reserved = live holds, committed = open orders                      CheckDatabase
//	I5  on hand = opening + ledger, each row follows from the one before    CheckDatabase
//	I6  each hold is resolved once, in time, all its lines or none          CheckDatabase, checkHolds
//	I7  Redis = database within 2 s of healing, and never ahead of it       CheckCache, and all the time: ahead.go
//	I8  a subscriber's versions grow, and end on the database's             checkWatchers
//	I9  goroutines, heap and connections return to what they were at rest   checkRest
//
// `onhand audit` is asked as well. The checkers are tested themselves: checker_test.go runs them over the program with a
// race planted into it (build tag plantedrace: levels are decided on without their locks), over broken tables and over
// histories that nothing explains.
//
// Scenarios are tested too, by hand: whoever writes one takes away from the product what it is about, and sees it fail.
// Without these, one at a time, these have failed:
//
//	locks on levels while deciding              TestPlantedRaceIsFound (always run)
//	the look-up of keys already carried out     TestF07PostgresKilled, TestF07CommitAnswerLost
//	the version check of Redis's script         TestF02LateWritesLose
//	joining a read that has just filled Redis   TestF03RedisFlushed
//	reading again after the feed reconnects     TestF05RedisHalfOpen
//	the relay's telling Redis                   TestF11CrashBeforePublish
//	expiry as a predicate of a commit           TestF14SweepersRace
//	a deadline of 10 s on what goes to a client TestF13FrozenClients (sockets and event streams; event streams alone)
//	a bound on what the kernel keeps for them   TestF13FrozenClients
//	passing on without a look at who is behind  TestF13FrozenClients (0.1 ms for each)
//	telling streams that the server stops       TestF17RollingRestart
//	finishing requests under way                TestF17RequestsUnderWay
//	a new epoch where the database went back    TestF18DatabaseRestored
//	telling subscribers of a new epoch          TestF18DatabaseRestored
//	goroutines that end (one in 50 did not)     TestSoak
//
// A hot load hides much: the next write repairs what one lost. What must be repaired by itself is checked in a silence.
//
// # Under the race detector
//
// A copy that is built with it is several times slower, and is held to the same bounds. Its report in a copy's log fails
// the scenario, whatever the customers saw (confess). All scenarios together take twelve minutes so.
//
// # Rules
//
//   - Every random choice comes from chance, a stream per name from the run's seed. Threads still race as they like: the
//     seed repeats the choices, not the schedule.
//   - Scenarios run one after the other and use a modest load; each is bounded to about 20 s, but for F13,
//     which times its subscribers in four stretches: 30 to 35 s.
//   - A scenario waits for events (More, await), and for time only where a fault is a length of time (During).
//   - Ports are loopback and below 32768. Every process ends with the test.
//
// The package imports onhand/models (to read what Redis holds) and onhand/store/storetest, nothing else of the product:
// the program is spoken to from outside.
package faults
