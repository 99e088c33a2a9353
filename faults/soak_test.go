package faults

import (
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/chance"
	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/model"
	"onhand/faults/process"
)

var soakFor = flag.Duration("soak", 0, "how long TestSoak runs; 0 leaves it out")

const (
	// soakRound is how long customers work before they are stopped and their answers are checked. One thing breaks in each
	// round.
	soakRound = 20 * time.Second
	// soakSample is how often metrics are read.
	soakSample = time.Second
	// soakWarmUp is the part of the whole time before the first sample that counts: caches and pools fill.
	soakWarmUp = 5
	// soakFault is how long a server stays frozen or cut off.
	soakFault = 2 * time.Second
	// soakSpare is how much longer than asked for all of it may take, before it counts as hung.
	soakSpare = 10 * time.Minute
	// soakCheck bounds the checks of the tables, which grow for an hour.
	soakCheck = 2 * time.Minute
	// soakPlenty is the opening stock of the products that are committed, so that the shop is never sold out.
	soakPlenty = 50_000_000

	mebibyte = 1 << 20
)

// soakTrends are the metrics that are watched, and how much each may grow from warm-up to end, however long that is.
func soakTrends() []*checker.Trend {
	return []*checker.Trend{
		{Metric: "process_resident_memory_bytes", Unit: mebibyte, GrowthMax: 64 * mebibyte},
		{Metric: "go_memstats_heap_inuse_bytes", Unit: mebibyte, GrowthMax: 48 * mebibyte},
		{Metric: "go_goroutines", Unit: 1, GrowthMax: 40},
		{Metric: "process_open_fds", Unit: 1, GrowthMax: 30},
		{Metric: "onhand_database_connections", Unit: 1, GrowthMax: 8},
		{Metric: "onhand_outbox_rows", Unit: 1, GrowthMax: 200},
		{Metric: "onhand_writes_waiting", Unit: 1, GrowthMax: 20},
	}
}

// soak is a shop in its rounds.
type soak struct {
	*Shop
	dice   *rand.Rand
	faults []string // to come
	began  time.Time
	trends []*checker.Trend
}

// TestSoak lets customers work for minutes, or an hour, while one thing after the other breaks. After each round their
// answers are checked, and at the end all invariants. The first instance is never restarted: nothing that it needs may
// grow.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("make soak")
	}
	overdue := time.AfterFunc(*soakFor+soakSpare, func() { panic("the soak hangs") })
	defer overdue.Stop()
	s := &soak{dice: chance.New(t, "faults"), trends: soakTrends()}
	s.Shop = Open(t, Setup{
		PrivatePostgres: true, Proxied: true, ShortReservations: true, RedisEmptied: true, ThinkTime: 20 * time.Millisecond,
		Opening: map[string]int{"cup": 40, "mug": 40, "jug": soakPlenty, "pot": soakPlenty},
	})
	s.began = time.Now()
	for time.Since(s.began) < *soakFor {
		s.round()
	}
	t.Log(checker.TrendTable(s.trends))
	for _, trend := range s.trends {
		assert.Greater(t, trend.Samples(), 10, trend.Metric)
		assert.LessOrEqual(t, trend.Growth(), trend.GrowthMax, "%s grows", trend.Metric)
	}
	s.checkAll()
}

// round lets customers work, breaks one thing, and checks the answers.
func (s *soak) round() {
	s.t.Helper()
	opening, earlier := s.openingOfRound()
	l := s.LoadOf(s.linger)
	began := time.Now()
	breakAfter := time.Duration(s.dice.Int64N(int64(soakRound / 2)))
	broken := ""
	for time.Since(began) < soakRound {
		if broken == "" && time.Since(began) > breakAfter {
			broken = s.breakOne()
		}
		l.During(soakSample)
		s.sample()
	}
	l.Stop()
	l.CheckRetryable(s.t)

	s.Checker.AwaitQuiet()
	require.Empty(s.t, s.Checker.AwaitCache(checker.CacheLimit), "I7")
	require.Empty(s.t, s.Checker.AwaitSubscribers(checker.SubscribersLimit, s.Subscribers...), "I8")
	for _, sub := range s.Subscribers {
		require.Empty(s.t, sub.Misordered(), "I8")
		sub.KeepLatest() // the others were checked
	}
	s.Checker.CheckAcknowledged()
	operations := s.checkRound(opening, earlier)
	s.t.Logf("%s: %d operations; broken: %s", time.Since(s.began).Round(time.Second), operations, broken)
	require.False(s.t, s.t.Failed())
	s.Target.History.Truncate(model.Position{})
}

// openingOfRound is the stock at the beginning of a round, with nothing reserved: the units that are there, and operations
// that commit those which earlier rounds have committed.
func (s *soak) openingOfRound() (opening map[string]int, earlier []model.Operation) {
	s.t.Helper()
	ctx, cancel := reading()
	defer cancel()
	stored, _, err := s.Checker.Stored(ctx)
	s.Must(err)
	opening, now := map[string]int{}, s.Target.History.Now()
	for _, product := range slices.Sorted(maps.Keys(stored)) {
		is := stored[product]
		require.Zero(s.t, is.Reserved, product)
		opening[product] = is.Available + is.Committed
		if is.Committed == 0 {
			continue
		}
		lines := map[string]int{product: is.Committed}
		o := model.Operation{Cart: s.Target.History.NewCart(lines).Number, Lines: lines, Done: true}
		reserve, commit := o, o
		reserve.Kind, reserve.Call, reserve.Return = model.Reserve, now-4, now-3
		commit.Kind, commit.Call, commit.Return = model.Commit, now-2, now-1
		earlier = append(earlier, reserve, commit)
	}
	return opening, earlier
}

// checkRound is I1 for one round; it reports how many operations there were.
func (s *soak) checkRound(opening map[string]int, earlier []model.Operation) int {
	s.t.Helper()
	for _, o := range s.Target.History.Operations() {
		require.False(s.t, o.GaveUp, "%s: no customer should have given up", o)
	}
	operations, err := s.Checker.Operations()
	s.Must(err)
	ofRound := map[int]bool{}
	for _, o := range operations {
		ofRound[o.Cart] = true
	}
	for _, o := range operations {
		for product, ended := range o.Ended { // the ledger has those of all rounds
			o.Ended[product] = slices.DeleteFunc(ended, func(cart int) bool { return !ofRound[cart] })
			if len(o.Ended[product]) == 0 {
				delete(o.Ended, product)
			}
		}
	}
	illegal, err := model.Linearizable(opening, append(earlier, operations...))
	require.NoError(s.t, err, "I1")
	require.Empty(s.t, illegal, "I1")
	return len(s.Target.History.Operations())
}

// sample reads the metrics of the first instance.
func (s *soak) sample() {
	at := time.Since(s.began)
	if at < *soakFor/soakWarmUp {
		return
	}
	m, err := s.Instances[0].Metrics()
	s.Must(err)
	for _, trend := range s.trends {
		trend.Add(at, m[trend.Metric])
	}
}

// breakOne breaks and heals one thing, and names it. The seed chooses; each comes once before any comes again.
func (s *soak) breakOne() string {
	other, first := s.Instances[1], s.Instances[0]
	forAWhile := func(begin, end func() error) {
		s.Must(begin())
		time.Sleep(soakFault)
		s.Must(end())
	}
	faults := map[string]func(){
		"Redis killed":        func() { s.Must(s.Redis.Kill(), s.Redis.Start()) },
		"Redis frozen":        func() { forAWhile(s.Redis.Freeze, s.Redis.Thaw) },
		"Redis flushed":       s.flush,
		"Redis half open":     func() { first.Redis.Drop(process.Down); time.Sleep(soakFault); first.Redis.Heal() },
		"Postgres aborted":    func() { s.Must(s.Postgres.Abort(), s.Postgres.Start()) },
		"Postgres frozen":     func() { forAWhile(s.Postgres.Freeze, s.Postgres.Thaw) },
		"Postgres cut off":    func() { first.Postgres.Cut(); time.Sleep(soakFault); first.Postgres.Heal() },
		"an instance killed":  func() { other.Kill(); time.Sleep(soakFault); other.Start() },
		"an instance stopped": func() { other.Stop(); other.Start() },
	}
	if len(s.faults) == 0 {
		s.faults = slices.Sorted(maps.Keys(faults))
		s.dice.Shuffle(len(s.faults), func(i, j int) { s.faults[i], s.faults[j] = s.faults[j], s.faults[i] })
	}
	name := s.faults[0]
	s.faults = s.faults[1:]
	s.Outage(faults[name])
	if strings.HasPrefix(name, "Postgres") {
		s.Checker.Database.Reset()
	}
	return name
}

func (s *soak) flush() {
	ctx, cancel := reading()
	defer cancel()
	s.Must(s.Checker.Cache.FlushAll(ctx).Err())
}

// checkAll is Check for a shop whose history was checked round by round.
func (s *soak) checkAll() {
	s.t.Helper()
	s.Checker.CheckCache(checker.CacheLimit)
	s.Checker.CheckSubscribers()
	s.Checker.CheckDatabase(soakCheck)
	s.Checker.CheckReservations()
	s.Checker.CheckAudit()
	s.Checker.CheckBaseline()
}

// linger is the habit of customers in a soak: to read, to reserve, and to release or commit. Only what there is plenty of
// is committed.
func (s *soak) linger(c *load.Customer, _ context.Context) {
	if c.Dice.IntN(4) == 0 {
		c.Read(c.Product())
		return
	}
	product := c.Product()
	lines, leaves := map[string]int{product: 1 + c.Dice.IntN(3)}, c.Dice.IntN(6) == 0
	ttl := load.LongTTL
	if leaves {
		ttl = load.ShortTTL
	}
	cart := c.Reserve(lines, ttl)
	if cart.ID == "" || leaves {
		return
	}
	if c.Dice.IntN(4) == 0 {
		c.Resolve(model.Extend, cart)
	}
	if s.setup.Opening[product] == soakPlenty && c.Dice.IntN(3) == 0 {
		c.Resolve(model.Commit, cart)
	} else {
		c.Resolve(model.Release, cart)
	}
}
