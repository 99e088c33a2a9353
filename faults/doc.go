// Package faults proves that nothing is lost while servers fail. Each scenario is a Go test: it starts a shop of real
// processes, puts it under load, breaks something, heals it, and checks the invariants. It is a module of its own, so
// that the product does not depend on what only the scenarios need. README.md says how to write one.
//
//	make fault                              all scenarios, one after the other
//	make fault ARGS='-run F07 -v'           one of them
//	make fault ARGS='-run F07 -seed 12345'  again, with the choices of a run that printed this seed
//	make fault ARGS='-server-race'          the server built with the race detector, within the same limits
//	make soak FOR=1h                        an hour of load with a fault now and then: does anything grow?
//
// Terms: an instance is one server process. A shop ([Shop]) is its instances, their Postgres and Redis, and its clients;
// [Setup] says what a scenario needs. The packages: process (instances, proxies, clusters), network (hosts of their own),
// load (clients), model (the history and its rules), checker (the invariants), chance (random choices), wait (for events).
//
// Invariants that [Shop.Check] checks:
//
//	I1  the history is linearizable                                         CheckHistory
//	I2  available is never below its floor, at any row of the ledger        CheckDatabase
//	I3  an acknowledged key happened once and is replayed, or it is free    CheckAcknowledged, CheckReservations
//	I4  reserved = live reservations, committed = open orders               CheckDatabase
//	I5  on hand = opening + ledger, each row follows from the one before    CheckDatabase
//	I6  a reservation is resolved once, in time, all its lines or none      CheckDatabase, CheckReservations
//	I7  Redis = database within 2 s of healing, and never ahead of it       CheckCache; CacheMonitor all the time
//	I8  a subscriber's versions grow, and end on the database's             CheckSubscribers
//	I9  goroutines, heap and connections return to their baseline           CheckBaseline
//	I10 an answer is at most 1 s older than Redis was                       BoundMonitor, in F19, F27, F34
//	    and in a failover of Redis 2 s older than the database              the same, in F06, F33, F34, F37, F40
//	I11 no owner has more of a product than maxPerOwner allows              CheckDatabase
//
// `onhand audit` is run as well. TestCheckersFind and TestPlantedRaceIsFound test the checkers themselves.
//
// Rules: scenarios run one after the other under a modest load, and take about 20 s, some of them a minute, all together
// 16 minutes beside other work. They wait for events, and for time only where a fault is a length of time. The same seed
// repeats the choices, not the schedule of threads.
//
// It may import models and stockbinary (to decode what Redis has) and store/storetest of the product: the server is a black
// box. When a program is not installed, the scenarios fail and say what to install.
package faults
