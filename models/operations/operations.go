package operations

import "time"

// OperationsSnapshot is what a server does at one moment.
type OperationsSnapshot struct {
	// AsOf is when it was made, by the clock of the process.
	AsOf     time.Time
	Instance InstanceOperations
	Shared   SharedOperations
}

// InstanceOperations are of one process.
type InstanceOperations struct {
	Version   string
	StartedAt time.Time
	// UptimeSeconds is how long ago that was.
	UptimeSeconds int
	// Writes that took effect. The rates are means of the last seconds.
	Writes                int64
	WritesPerSecond       float64
	ReservationsPerSecond float64
	TransactionsPerSecond float64
	// Watches are subscriptions of stock and reservations, Followers those of the ledger.
	Watches, WatchedProducts, Followers int
	// Sockets are open WebSockets.
	Sockets   int
	NearCache NearCacheOperations
	Relay     RelayOperations
	Audit     AuditOperations
	// SimulatedShoppers is how many shoppers the instance simulates.
	SimulatedShoppers int
}

// NearCacheOperations are of the near cache.
type NearCacheOperations struct {
	// Fresh reports whether it may serve now.
	Fresh   bool
	Entries int
	Bytes   int64
	// Hits and Misses count products.
	Hits, Misses int64
	// HitRatio is of the last seconds; nil without reads.
	HitRatio *float64
}

// RelayOperations are of the relay.
type RelayOperations struct {
	// Drained counts outbox rows, Failures rounds that failed.
	Drained, Failures int64
	// LagSeconds is how long the oldest row of the outbox has been seen there.
	LagSeconds float64
}

// AuditOperations are of the audit beside the service.
type AuditOperations struct {
	ProductsCompared, Repairs int64
	// LastPassEndedAt is when all products had been compared last; nil before that.
	LastPassEndedAt *time.Time
	// Differences are those of the last whole pass, none where nothing was found.
	Differences []AuditDifferenceCount
}

// AuditDifferenceCount counts differences of one kind.
type AuditDifferenceCount struct {
	Kind  string
	Count int
}

// SharedOperations are of what all instances use. Counts are exact up to their bounds, and
// nil when the database does not answer.
type SharedOperations struct {
	Database           DatabaseOperations
	Redis              RedisOperations
	ActiveReservations *int
	OutboxLength       *int
	Products           *int
}

// DatabaseOperations are of the database, as the instance sees it.
type DatabaseOperations struct {
	Up bool
	// Embedded reports whether it is a file or the memory of the process.
	Embedded bool
	// RoundTripMs is how long the last ping took; nil when there was no answer.
	RoundTripMs *float64
	// Connections are of this instance.
	Connections, ConnectionsInUse int
}

// RedisOperations are of Redis, as the instance sees it.
type RedisOperations struct {
	Up bool
	// Embedded reports whether it is inside the process.
	Embedded bool
}

// ShopInfo is what a page about a server says of its shop.
type ShopInfo struct {
	// Demo: it is the demo shop. SimulatedShoppers: this instance simulates shoppers.
	Demo, SimulatedShoppers bool
}
