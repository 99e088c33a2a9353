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
)

var soakFor = flag.Duration("soak", 0, "how long TestSoak runs; 0 leaves it out")

const (
	// soakRound is how long customers shop before they are stopped and what they were told is checked. One thing breaks in
	// each round.
	soakRound = 20 * time.Second
	// soakSample is how often numbers are taken.
	soakSample = time.Second
	// soakWarmUp is the part of the whole time before the first sample that counts: caches and pools fill.
	soakWarmUp = 5
	// soakFault is how long a server stays frozen or cut off.
	soakFault = 2 * time.Second
	// soakSpare is how much longer than asked for all of it may take, before it counts as hung.
	soakSpare = 10 * time.Minute
	// soakLook bounds the checks of the tables, which grow for an hour.
	soakLook = 2 * time.Minute

	mebibyte = 1 << 20
)

// soakTrends are the numbers that are watched, with what each may grow by from warm-up to end, however long that is.
func soakTrends() []*trend {
	return []*trend{
		{name: "process_resident_memory_bytes", unit: mebibyte, bound: 64 * mebibyte},
		{name: "go_memstats_heap_inuse_bytes", unit: mebibyte, bound: 48 * mebibyte},
		{name: "go_goroutines", unit: 1, bound: 40},
		{name: "process_open_fds", unit: 1, bound: 30},
		{name: "onhand_database_connections", unit: 1, bound: 8},
		{name: "onhand_outbox_rows", unit: 1, bound: 200},
		{name: "onhand_writes_waiting", unit: 1, bound: 20},
	}
}

// soak is a shop in its rounds.
type soak struct {
	*Scene
	t      *testing.T
	dice   *rand.Rand
	deck   []string // faults to come
	began  time.Time
	trends []*trend
}

// TestSoak lets customers shop for minutes, or an hour, while something breaks now and then. After each round what they
// were told is checked, and at the end all invariants. The first copy is never restarted: nothing of what it needs may grow.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("make soak")
	}
	overdue := time.AfterFunc(*soakFor+soakSpare, func() { panic("the soak hangs") })
	defer overdue.Stop()
	s := &soak{t: t, dice: chance(t, "faults"), trends: soakTrends()}
	s.Scene = Open(t, Plan{PrivatePostgres: true, Proxied: true, Walkaways: true, RedisForgets: true, Think: 20 * time.Millisecond,
		Opening: map[string]int{"cup": 40, "mug": 40, "jug": 50_000_000, "pot": 50_000_000}})
	s.began = time.Now()
	for time.Since(s.began) < *soakFor {
		s.round()
	}
	t.Log(trendTable(s.trends))
	for _, trend := range s.trends {
		assert.Greater(t, len(trend.values), 10, trend.name)
		assert.LessOrEqual(t, trend.growth(), trend.bound, "%s grows", trend.name)
	}
	s.checkAll()
}

// round shops, breaks something, and checks what customers were told.
func (s *soak) round() {
	s.t.Helper()
	opening, earlier := s.shelves()
	load := s.LoadOf(linger)
	began := time.Now()
	breaks := time.Duration(s.dice.Int64N(int64(soakRound / 2)))
	broken := "nothing"
	for time.Since(began) < soakRound {
		if broken == "nothing" && time.Since(began) > breaks {
			broken = s.breakOne()
		}
		load.During(soakSample)
		s.sample()
	}
	load.Stop()
	assert.Empty(s.t, load.Codes.unexpected())
	assert.Empty(s.t, load.PageCodes.unexpected())

	s.quiet()
	require.Empty(s.t, s.awaitCache(cacheLimit), "I7")
	require.Empty(s.t, s.AwaitWatchers(watchersLimit, s.Subscribers...), "I8")
	for _, sub := range s.Subscribers {
		require.Empty(s.t, sub.order(), "I8")
		sub.believe() // what was checked need not be kept
	}
	s.checkPromises()
	done := s.explain(opening, earlier)
	s.t.Logf("%s: %d operations; broken: %s", time.Since(s.began).Round(time.Second), done, broken)
	require.False(s.t, s.t.Failed())
	s.History.cut(historyMark{})
}

// shelves are the products as a round finds them, with nothing held: the units that are there, and operations that order
// those which earlier rounds have ordered.
func (s *soak) shelves() (opening map[string]int, earlier []Operation) {
	s.t.Helper()
	ctx, cancel := s.looking()
	defer cancel()
	stored, _, err := s.truths(ctx)
	s.Must(err)
	opening, now := map[string]int{}, s.History.Now()
	for _, product := range slices.Sorted(maps.Keys(stored)) {
		is := stored[product]
		require.Zero(s.t, is.Reserved, product)
		opening[product] = is.Available + is.Committed
		if is.Committed == 0 {
			continue
		}
		lines := map[string]int{product: is.Committed}
		o := Operation{Hold: s.History.NewHold(lines).Number, Lines: lines, Done: true}
		hold, order := o, o
		hold.Kind, hold.Call, hold.Return = Hold, now-4, now-3
		order.Kind, order.Call, order.Return = Commit, now-2, now-1
		earlier = append(earlier, hold, order)
	}
	return opening, earlier
}

// explain is I1 for one round.
func (s *soak) explain(opening map[string]int, earlier []Operation) int {
	s.t.Helper()
	operations, err := s.Explained()
	s.Must(err)
	mine := map[int]bool{}
	for _, o := range operations {
		require.False(s.t, o.Pending(), "%s: nobody's patience should have ended", o)
		mine[o.Hold] = true
	}
	for _, o := range operations {
		for product, ended := range o.Ended { // the ledger has those of all rounds
			o.Ended[product] = slices.DeleteFunc(ended, func(hold int) bool { return !mine[hold] })
			if len(o.Ended[product]) == 0 {
				delete(o.Ended, product)
			}
		}
	}
	illegal, err := Linearizable(opening, append(earlier, operations...))
	require.NoError(s.t, err, "I1")
	require.Empty(s.t, illegal, "I1")
	return len(s.History.Operations())
}

// sample takes the numbers of the first copy.
func (s *soak) sample() {
	at := time.Since(s.began)
	if at < *soakFor/soakWarmUp {
		return
	}
	m, err := s.Copies[0].Metrics()
	s.Must(err)
	for _, trend := range s.trends {
		trend.add(at, m[trend.name])
	}
}

// breakOne breaks and heals one thing, and names it. The seed says which: each has its turn before any comes again.
func (s *soak) breakOne() string {
	other, first := s.Copies[1], s.Copies[0]
	held := func(begin, end func() error) {
		s.Must(begin())
		time.Sleep(soakFault)
		s.Must(end())
	}
	faults := map[string]func(){
		"Redis killed":   func() { s.Must(s.Redis.Kill(), s.Redis.Start()) },
		"Redis frozen":   func() { held(s.Redis.Freeze, s.Redis.Thaw) },
		"Redis flushed":  s.flush,
		"Redis half cut": func() { first.Redis.Drop(Down); time.Sleep(soakFault); first.Redis.Heal() },
		"Postgres ended": func() { s.Must(s.Postgres.Abort(), s.Postgres.Start()) },
		"Postgres froze": func() { held(s.Postgres.Freeze, s.Postgres.Thaw) },
		"Postgres cut":   func() { first.Postgres.Cut(); time.Sleep(soakFault); first.Postgres.Heal() },
		"a copy killed":  func() { other.Kill(); time.Sleep(soakFault); other.Start() },
		"a copy stopped": func() { other.Stop(); other.Start() },
	}
	if len(s.deck) == 0 {
		s.deck = slices.Sorted(maps.Keys(faults))
		s.dice.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
	}
	name := s.deck[0]
	s.deck = s.deck[1:]
	s.Outage(faults[name])
	if strings.HasPrefix(name, "Postgres") {
		s.pool.Reset()
	}
	return name
}

func (s *soak) flush() {
	ctx, cancel := s.looking()
	defer cancel()
	s.Must(s.redis.FlushAll(ctx).Err())
}

// checkAll is Check for a shop whose history was checked round by round.
func (s *soak) checkAll() {
	s.t.Helper()
	s.CheckCache(cacheLimit)
	s.checkWatchers()
	ctx, cancel := context.WithTimeout(context.Background(), soakLook)
	defer cancel()
	s.report("the database", s.databaseFaults(ctx, s.pool))
	totals, err := s.endTotals(ctx, s.pool)
	s.Must(err)
	s.report("I5: on hand = opening + ledger", totals)
	s.checkHolds()
	s.checkAudit()
	s.checkRest()
}

// linger is the habit of customers in a soak: to look, to hold and to think again. Only what there is plenty of is ordered,
// so that the shop is never sold out.
func linger(c *customer, _ context.Context) {
	if c.dice.IntN(4) == 0 {
		c.read(c.product())
		return
	}
	product := c.product()
	lines, leaves := map[string]int{product: 1 + c.dice.IntN(3)}, c.dice.IntN(6) == 0
	ttl := ttlLong
	if leaves {
		ttl = ttlShort
	}
	made := c.hold(lines, ttl)
	if made.ID == "" || leaves {
		return
	}
	if c.dice.IntN(4) == 0 {
		c.resolve(Extend, made)
	}
	if c.scene.plan.Opening[product] > 1000 && c.dice.IntN(3) == 0 {
		c.resolve(Commit, made)
	} else {
		c.resolve(Release, made)
	}
}

// TestTrend: noise and spikes are no growth, and a leak is found in them.
func TestTrend(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	made := func(leak, spike float64) *trend {
		made := &trend{name: "numbers", unit: 1, bound: 20}
		for n := range 180 {
			value := 100 + leak*float64(n) + 10*dice.Float64()
			if n%30 == 7 {
				value += spike
			}
			made.add(time.Duration(n)*time.Second, value)
		}
		return made
	}
	assert.InDelta(t, 0, made(0, 0).growth(), 5)
	assert.InDelta(t, 0, made(0, 10_000).growth(), 5)
	leaking := made(0.5, 10_000)
	assert.InDelta(t, 0.5*179, leaking.growth(), 5)
	assert.Contains(t, trendTable([]*trend{leaking}), "GROWS")
	assert.NotContains(t, trendTable([]*trend{made(0, 10_000)}), "GROWS")
	assert.Zero(t, (&trend{}).growth())
}
