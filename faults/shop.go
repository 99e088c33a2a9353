package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/faults/chance"
	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/model"
	"onhand/faults/process"
	"onhand/faults/wait"
	"onhand/store/storetest"
)

const (
	// prepareLimit bounds each step of the making of a shop.
	prepareLimit = 30 * time.Second
	// readLimit bounds one reading of a server by a scenario.
	readLimit = 10 * time.Second
	// limitedUnits is the stock of the limited product: more than a scenario reserves.
	limitedUnits = 1_000_000
)

// Shop is a running shop: instances of the server, their Postgres and Redis, its clients and its checker.
type Shop struct {
	Instances     []*process.Instance
	Redis         *storetest.RedisServer    // nil with a cluster or Sentinels
	Postgres      *storetest.PostgresServer // nil unless the setup has a private one
	Standby       *storetest.PostgresServer // nil unless the setup has one
	Replica       *storetest.PostgresServer // nil unless the setup has one
	SecondReplica *storetest.PostgresServer // nil unless the setup has one
	Pooler        *storetest.PoolerServer   // nil unless the setup has one
	Cluster       *process.Cluster          // nil unless the setup has one
	Sentinel      *process.SentinelRedis    // nil unless the setup has one
	Network       *HostNetwork              // nil unless the setup has hosts
	Target        *load.Target
	Subscribers   []*load.Subscriber // those of the setup; they listen from the start
	Checker       *checker.Checker

	t     *testing.T
	setup Setup
	// databaseURL is the administrator's; instancesURL and instancesRedisURL are those of the instances.
	databaseURL, instancesURL, instancesRedisURL string
	prepared                                     int // writes that made the shop, so far
}

// Main runs the scenarios and removes what they built.
func Main(m *testing.M) int {
	flag.Parse()
	fmt.Printf("seed %d (again: go test -seed %[1]d, or FAULT_SEED=%[1]d)\n", chance.Seed())
	redis.SetLogger(silent{})
	code := m.Run()
	if err := process.RemoveBuilds(); err != nil {
		fmt.Println(err)
	}
	return code
}

// silent keeps go-redis from printing that a Redis is down which a scenario has killed.
type silent struct{}

// Printf implements go-redis's logger.
func (silent) Printf(context.Context, string, ...any) {}

// Open makes the shop of a setup: servers, instances, products with their opening stock, subscribers. All of it ends with
// the test.
func Open(t *testing.T, setup Setup) *Shop {
	t.Helper()
	if testing.Short() && !setup.Short {
		t.Skip("not in the short subset")
	}
	t.Logf("seed %d", chance.Seed())
	s := &Shop{t: t, setup: setup.withDefaults()}
	if s.setup.Hosts {
		s.Network = openNetwork(t)
	}
	cache := s.openRedis()
	s.openPostgres()
	s.Target = s.newTarget()
	for n := range s.setup.Instances {
		i := s.newInstance(n)
		s.Instances, s.Target.URLs = append(s.Instances, i), append(s.Target.URLs, i.URL())
	}
	if s.setup.Balanced {
		s.Target.URLs = []string{process.NewBalancer(t, s.Instances...)} // before the instances start
	}
	s.Checker = &checker.Checker{
		T: t, Target: s.Target, Opening: s.setup.Opening, Instances: s.Instances,
		Database: s.openPool(), DatabaseURL: s.instancesURL, Cache: cache, RedisURL: s.instancesRedisURL,
		Tolerance: checker.Tolerance{
			RedisEmptied: s.setup.RedisEmptied, Unreplicated: s.setup.Unreplicated,
			ClockMoved: s.setup.ClockMoved, ClockOffsets: s.setup.ClockOffsets,
		},
	}
	for _, i := range s.Instances {
		i.Start()
	}
	s.write("upsertLocations", "UpsertLocationsInput", map[string]any{"rows": []map[string]any{{"locationId": load.Location, "name": "The warehouse"}}})
	s.Stock(s.setup.Opening, "")
	s.Stock(map[string]int{load.LimitedProduct: limitedUnits}, "")
	s.write("upsertProducts", "UpsertProductsInput", map[string]any{"rows": []map[string]any{{"productId": load.LimitedProduct, "maxPerOwner": load.LimitedPerOwner}}})
	s.Checker.TakeBaseline()
	s.Checker.StartMonitor()
	for n := range s.setup.Subscribers {
		s.Subscribers = append(s.Subscribers, s.Subscribe(load.WebSocket, n), s.Subscribe(load.SSE, n))
	}
	s.Checker.Subscribers = s.Subscribers
	s.AwaitLive(process.StartLimit, s.Subscribers...)
	return s
}

// newTarget is the shop as its clients see it.
func (s *Shop) newTarget() *load.Target {
	target := &load.Target{
		T: s.t, Name: strings.ReplaceAll(s.t.Name(), "/", "-"), Products: slices.Sorted(maps.Keys(s.setup.Opening)),
		History:   model.NewHistory(),
		ThinkTime: s.setup.ThinkTime, ShortReservations: s.setup.ShortReservations, WrongAnswers: s.setup.BuildTag == process.PlantedRace,
	}
	connections := s.setup.Customers + s.setup.Shoppers
	if s.setup.Tokens {
		target.Access.Token = load.NewToken(tokenSecret, "order-service", allScopes)
		target.Shoppers = load.NewClient(connections, load.ClientAccess{Source: s.shoppersAddress()})
	} else {
		target.Shoppers = load.NewClient(connections, load.ClientAccess{})
	}
	target.Client = load.NewClient(connections, target.Access)
	s.t.Cleanup(target.Client.Close)
	s.t.Cleanup(target.Shoppers.Close)
	return target
}

// Stock makes more products, each with so many units, through the API. Customers know only those of the setup.
func (s *Shop) Stock(units map[string]int, title string) {
	s.t.Helper()
	products, levels := []map[string]any{}, []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(units)) {
		product := map[string]any{"productId": id}
		if title != "" {
			product["title"] = title
		}
		products = append(products, product)
		levels = append(levels, map[string]any{"productId": id, "locationId": load.Location, "quantity": units[id], "ignoreStale": true})
	}
	s.write("upsertProducts", "UpsertProductsInput", map[string]any{"rows": products})
	s.write("setStock", "SetStockInput", map[string]any{"rows": levels, "reason": "CYCLE_COUNT"})
}

// write sends a write that must succeed.
func (s *Shop) write(mutation, kind string, input map[string]any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	s.prepared++
	input["idempotencyKey"] = fmt.Sprintf("%s-%s-%d", s.Target.Name, mutation, s.prepared)
	document := "mutation($input: " + kind + "!) { answer: " + mutation + "(input: $input) { errors { __typename ... on UserError { message path } } } }"
	var data load.WriteData
	if err := s.Target.Client.Ask(ctx, s.Instances[0].URL(), document, map[string]any{"input": input}, &data); err != nil {
		s.t.Fatalf("%s: %v", mutation, err)
	}
	if len(data.Answer.Errors) > 0 {
		s.t.Fatalf("%s: %+v", mutation, data.Answer.Errors)
	}
}

// Load starts the setup's customers and shoppers.
func (s *Shop) Load() *load.Load { return s.LoadOf(load.Shopping) }

// LoadOf starts customers of another habit, and the setup's shoppers.
func (s *Shop) LoadOf(habit load.Habit) *load.Load {
	return load.Start(s.Target, s.setup.Customers, s.setup.Shoppers, habit)
}

// Customer is one more customer, to be directed. It asks the instance of that number first.
func (s *Shop) Customer(instance int) *load.Customer { return load.NewCustomer(s.Target, instance) }

// Subscribe starts one more subscriber to all products, at the instance of that number first.
func (s *Shop) Subscribe(protocol load.Protocol, instance int) *load.Subscriber {
	return load.Subscribe(s.Target, protocol, instance, s.Target.Products)
}

// AwaitLive waits until each of these subscribers has received every product.
func (s *Shop) AwaitLive(limit time.Duration, subscribers ...*load.Subscriber) {
	s.t.Helper()
	for _, sub := range subscribers {
		s.Await(limit, sub.Name+" is live", sub.Live)
	}
}

// Outage runs a fault and notes when it was: what was due in it may be late.
func (s *Shop) Outage(fault func()) {
	s.t.Helper()
	from := time.Now()
	fault()
	s.Checker.Outages.Add(from, time.Now())
}

// Must ends the test when a fault could not be brought about.
func (s *Shop) Must(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

// Await waits until done, and fails the test when that takes longer than limit.
func (s *Shop) Await(limit time.Duration, what string, done func() bool) {
	s.t.Helper()
	wait.Until(s.t, limit, what, done)
}

// Check checks the invariants I1 to I9 and I11 at the end of a scenario, and the accounts of the instances. It stops the
// subscribers.
func (s *Shop) Check() {
	s.t.Helper()
	s.checkAccounts()
	s.Checker.Check()
}

// metrics are those of each instance.
func (s *Shop) metrics() (list []process.Metrics) {
	s.t.Helper()
	for _, i := range s.Instances {
		m, err := i.Metrics()
		s.Must(err)
		list = append(list, m)
	}
	return list
}

// reading is a context for one reading of a server by a scenario.
func reading() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), readLimit)
}
