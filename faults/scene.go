package faults

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"onhand/store/storetest"
)

const (
	// ttlLong outlives every scenario: such holds end only when somebody ends them.
	ttlLong = time.Hour
	// ttlShort is over within a scenario.
	ttlShort = 2 * time.Second
	// place is the one location; with one, a product's level is its stock, and a shortage says what the level has.
	place = "house"
	// preparing bounds the making of a scenario's shop.
	preparing = 30 * time.Second
)

// Plan says what a scenario needs; the zero value of each field is the usual one.
type Plan struct {
	Copies    int            // of the server; 2
	Opening   map[string]int // stock by product; four products, two of them scarce
	Customers int            // 10
	Shoppers  int            // 2
	Think     time.Duration  // a customer's pause between two operations, on the average; 8 ms
	Walkaways bool           // some customers' holds are short, and expire

	Variant         string             // of the program; Usual
	Skews           []time.Duration    // of the copies' clocks, in their order; none
	Env             []string           // more settings of the copies
	PrivatePostgres bool               // a server to be killed or frozen, rather than one shared by all scenarios
	PostgresOptions []storetest.Option // of a private server
	RedisOptions    []storetest.Option
	RedisForgets    bool            // the scenario empties Redis, so that versions there may go back
	OtherClock      bool            // the database's clock is not ours
	Clocks          []time.Duration // by which it is off then, at one time or another; far apart beside a scenario's length
	Cluster         bool            // Redis is a cluster of six nodes, Scene.Cluster, and Scene.Redis is nil
	Standby         bool            // a second Postgres follows the private one, and no commit is answered before it has it
	Unreplicated    bool            // commits that no standby has are seen for a moment, by Redis too, and lost: Postgres shows them once their writer gave up
	ConnectionsMax  int             // which the private Postgres gives all copies together
	Proxied         bool            // each copy reaches its servers through proxies of its own
	Subscribers     int             // of each kind (WebSocket, SSE); 2, -1 for none
	Short           bool            // runs with -short too
}

// Scene is a shop under test: copies of the server, their Postgres and Redis, and what is known of it.
type Scene struct {
	Copies   []*Copy
	Redis    *storetest.RedisServer
	Postgres *storetest.PostgresServer // nil unless the plan has a private one
	Database string                    // the DSN, past any proxy
	Cluster  *Cluster                  // nil unless the plan has one
	Standby  *storetest.PostgresServer // nil unless the plan has one
	History  *History
	// Subscribers are the plan's; they listen from the start.
	Subscribers []*Subscriber

	t         *testing.T
	plan      Plan
	name      string
	products  []string
	client    *Client
	customers int // so far
	prepared  int // writes that made the shop, so far
	pool      *pgxpool.Pool
	redis     redis.UniversalClient
	cacheURL  string // REDIS_URL, past any proxy
	copiesDSN string // DATABASE_URL of the copies, before any proxy
	ahead     *ahead

	mu       sync.Mutex
	outages  []outage
	failures int // of wrong
}

// outage is a time in which a server was away or frozen, so that nothing could be done when it was due.
type outage struct{ from, to time.Time }

// runMain is TestMain: it runs the scenarios and tidies up.
func runMain(m *testing.M) int {
	flag.Parse()
	fmt.Printf("seed %d (again: go test -seed %[1]d, or FAULT_SEED=%[1]d)\n", runSeed())
	redis.SetLogger(quiet{})
	code := m.Run()
	if err := removeBinaries(); err != nil {
		fmt.Println(err)
	}
	return code
}

// quiet keeps go-redis from printing that a Redis is away which a scenario has killed.
type quiet struct{}

// Printf implements go-redis's logger.
func (quiet) Printf(context.Context, string, ...any) {}

// usual fills in what a plan leaves out.
func (p Plan) usual() Plan {
	p.Copies, p.Customers = cmp.Or(p.Copies, 2), cmp.Or(p.Customers, 10)
	p.Shoppers, p.Think = cmp.Or(p.Shoppers, 2), cmp.Or(p.Think, 8*time.Millisecond)
	p.Subscribers = max(cmp.Or(p.Subscribers, 2), 0)
	if p.Opening == nil {
		p.Opening = map[string]int{"cup": 40, "mug": 40, "jug": 2000, "pot": 2000}
	}
	return p
}

// Open builds the shop of a plan: servers, copies, products with their opening stock, subscribers. All of it goes when
// the test ends.
func Open(t *testing.T, plan Plan) *Scene {
	t.Helper()
	if testing.Short() && !plan.Short {
		t.Skip("not in the short subset")
	}
	s := &Scene{t: t, plan: plan.usual(), name: strings.ReplaceAll(t.Name(), "/", "-"), History: newHistory()}
	t.Logf("seed %d", runSeed())
	s.products = slices.Sorted(maps.Keys(s.plan.Opening))
	s.openRedis()
	s.openPostgres()
	s.client = newClient(s.plan.Customers + s.plan.Shoppers)
	t.Cleanup(s.client.Close)
	s.connect()
	for n := range s.plan.Copies {
		s.Copies = append(s.Copies, s.newCopy("copy"+strconv.Itoa(n)))
	}
	for _, c := range s.Copies {
		c.Start()
	}
	s.stockUp()
	for _, c := range s.Copies {
		s.rest(c)
	}
	s.ahead = s.watchAhead()
	s.subscribe()
	return s
}

// connect opens the scenario's own way to Postgres, past any proxy.
func (s *Scene) connect() {
	config, err := pgxpool.ParseConfig(s.Database)
	if err != nil {
		s.t.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["application_name"] = "faults"
	config.MaxConns = 4
	if s.pool, err = pgxpool.NewWithConfig(context.Background(), config); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.pool.Close)
}

func (s *Scene) newCopy(name string) *Copy {
	database, cache := s.copiesDSN, s.cacheURL
	var toRedis, toPostgres *Proxy
	if s.plan.Proxied {
		address := hostOf(s.t, s.Database)
		toRedis, toPostgres = newProxy(s.t, name+"-redis", s.Redis.Addr()), newProxy(s.t, name+"-postgres", address)
		cache = strings.Replace(cache, s.Redis.Addr(), toRedis.Address(), 1)
		database = strings.Replace(database, address, toPostgres.Address(), 1)
	}
	c := newCopy(s.t, name, s.plan.Variant, append([]string{"DATABASE_URL=" + database, "REDIS_URL=" + cache}, s.plan.Env...))
	c.Redis, c.Postgres = toRedis, toPostgres
	if n := len(s.Copies); n < len(s.plan.Skews) {
		c.program = skewed(s.t, s.plan.Skews[n])
	}
	return c
}

func hostOf(t testing.TB, dsn string) string {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return config.ConnConfig.Host + ":" + strconv.Itoa(int(config.ConnConfig.Port))
}

// stockUp makes the place, and the products with their opening stock.
func (s *Scene) stockUp() {
	s.prepare("upsertLocations", "UpsertLocationsInput", map[string]any{"rows": []map[string]any{{"locationId": place, "name": "The house"}}})
	s.Stock(s.plan.Opening, "")
}

// Stock makes more products, each with so many units, through the API. Customers know only those of the plan.
func (s *Scene) Stock(units map[string]int, title string) {
	s.t.Helper()
	products, levels := []map[string]any{}, []map[string]any{}
	for _, product := range slices.Sorted(maps.Keys(units)) {
		products = append(products, map[string]any{"productId": product})
		if title != "" {
			products[len(products)-1]["title"] = title
		}
		levels = append(levels, map[string]any{"productId": product, "locationId": place, "quantity": units[product], "ignoreStale": true})
	}
	s.prepare("upsertProducts", "UpsertProductsInput", map[string]any{"rows": products})
	s.prepare("setStock", "SetStockInput", map[string]any{"rows": levels, "reason": "CYCLE_COUNT"})
}

// prepare sends a write that must succeed.
func (s *Scene) prepare(mutation, kind string, input map[string]any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), preparing)
	defer cancel()
	s.prepared++
	input["idempotencyKey"] = fmt.Sprintf("%s-%s-%d", s.name, mutation, s.prepared)
	document := "mutation($input: " + kind + "!) { answer: " + mutation + "(input: $input) { errors { __typename ... on UserError { message path } } } }"
	var data struct{ Answer answer }
	if err := s.client.Ask(ctx, s.Copies[0].URL(), document, map[string]any{"input": input}, &data); err != nil {
		s.t.Fatalf("%s: %v", mutation, err)
	}
	if len(data.Answer.Errors) > 0 {
		s.t.Fatalf("%s: %+v", mutation, data.Answer.Errors)
	}
}

// Outage runs a fault and remembers when it was: what fell due in it may be late.
func (s *Scene) Outage(fault func()) {
	s.t.Helper()
	from := time.Now()
	fault()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outages = append(s.outages, outage{from, time.Now()})
}

// Must ends the test when a fault could not be brought about.
func (s *Scene) Must(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

// wrongMax bounds how many broken answers a scenario prints.
const wrongMax = 10

// wrong fails the test because of something a customer was told. What a shop with a planted race tells is for the
// history to find.
func (s *Scene) wrong(format string, args ...any) {
	if s.plan.Variant == PlantedRace {
		return
	}
	s.mu.Lock()
	s.failures++
	told := s.failures
	s.mu.Unlock()
	if told <= wrongMax {
		s.t.Errorf(format, args...)
	}
}

// await waits until done says so, or fails the test.
func (s *Scene) await(limit time.Duration, what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(pollEvery) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %s", what, limit)
		}
	}
}
