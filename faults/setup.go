package faults

import (
	"cmp"
	"time"

	"onhand/faults/process"
	"onhand/store/storetest"
)

// Setup says what a scenario needs. The zero value of each field is the usual one.
type Setup struct {
	Instances   int            // of the server; 2
	Opening     map[string]int // stock by product; four products, two of them scarce
	Customers   int            // 10
	Shoppers    int            // 2; -1 for none
	Subscribers int            // of each protocol (WebSocket, SSE); 2, -1 for none
	ThinkTime   time.Duration  // a customer's pause between two operations, on average; 8 ms
	// ShortReservations: some customers reserve for two seconds and let the reservation expire.
	ShortReservations bool

	// Tokens: instances check tokens. Customers and subscribers have a token with all scopes; shoppers have none, and an address of their own.
	Tokens bool

	// BuildTag is that of the program.
	BuildTag process.BuildTag
	// InstanceClocks are the offsets of the instances' clocks, in their order.
	InstanceClocks []time.Duration
	// PrivatePostgres can be killed and frozen; otherwise all scenarios share a server.
	PrivatePostgres bool
	// PostgresOptions are those of a private server.
	PostgresOptions []storetest.Option
	// Standby: a second Postgres follows the private one, and no commit is answered before it has it.
	Standby bool
	// SessionAttrs is the target_session_attrs of a URL with a standby; primary.
	SessionAttrs string
	// Pooled: the instances reach the private Postgres through pgbouncer, Shop.Pooler, in transaction mode. Without pgbouncer
	// the scenario is skipped.
	Pooled bool
	// Replica: a second Postgres follows the private one, no commit waits for it, and the instances read pages from it.
	Replica bool
	// SecondReplica: the URL of the instances has one more replica, after that one.
	SecondReplica bool
	// ConnectionsMax is how many connections the private Postgres gives all instances together.
	ConnectionsMax int
	// Cluster: Redis is a cluster of six nodes, Shop.Cluster, and Shop.Redis is nil.
	Cluster bool
	// Sentinel: Redis is a master and a replica that Sentinels watch, Shop.Sentinel, and Shop.Redis is nil.
	Sentinel bool
	// Proxied: each instance reaches its servers through proxies of its own.
	Proxied bool
	// Hosts: as Tokens, and each instance runs in a network namespace, with Shop.Network between it and its servers and
	// clients. Postgres is a private one. Without root on Linux the scenario is skipped.
	Hosts bool

	// Balanced: as Tokens, and clients reach the two to four instances through haproxy. An instance that stops says so first.
	// Without haproxy the scenario is skipped.
	Balanced bool

	// RedisEmptied: the scenario empties Redis, so that versions there may go back.
	RedisEmptied bool
	// ClockMoved: the scenario moves the database's clock, by ClockOffsets at one time or another. They must be far apart
	// beside the length of a scenario.
	ClockMoved   bool
	ClockOffsets []time.Duration
	// Unreplicated: the scenario makes commits that no standby has. They are visible for a moment, in Redis too, and lost:
	// Postgres shows them once their writer gave up.
	Unreplicated bool

	// Short: it runs with -short too.
	Short bool
}

// withDefaults fills in what a setup leaves out.
func (s Setup) withDefaults() Setup {
	s.Instances, s.Customers = cmp.Or(s.Instances, 2), cmp.Or(s.Customers, 10)
	s.Shoppers, s.ThinkTime = max(cmp.Or(s.Shoppers, 2), 0), cmp.Or(s.ThinkTime, 8*time.Millisecond)
	s.Subscribers = max(cmp.Or(s.Subscribers, 2), 0)
	s.Tokens = s.Tokens || s.Balanced || s.Hosts
	s.PrivatePostgres = s.PrivatePostgres || s.Hosts
	if s.Opening == nil {
		s.Opening = map[string]int{"cup": 40, "mug": 40, "jug": 2000, "pot": 2000}
	}
	return s
}
