package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/storetest"
)

// fakePlans are plans of a database that remembers everything, but for writes
// whose keys begin with "ordinary". Keys that begin with "panic" break a plan,
// and those that begin with "late" break it when it is carried out.
type fakePlans struct {
	*fakeTruth
	keys    map[*database.PreparedReservation]string
	plans   [][]string // those that were sent
	refuse  int        // so many plans fail
	with    error      // how they do
	dropped int
	ends    []planEnd
	broke   []string // the panics
}

type fakePlan struct {
	all  *fakePlans
	keys []string
}

func newFakePlans() (*fakePlans, *combiner) {
	f, c := newFakeTruth()
	p := &fakePlans{fakeTruth: f, keys: map[*database.PreparedReservation]string{}}
	c.prepare = func(w models.Write) *database.PreparedReservation {
		p.mu.Lock()
		defer p.mu.Unlock()
		ready := new(database.PreparedReservation)
		p.keys[ready] = w.Key()
		return ready
	}
	c.begin = func() plan { return &fakePlan{all: p} }
	c.ended = func(how planEnd) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ends = append(p.ends, how)
	}
	c.broke = func(panicked *panicError) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.broke = append(p.broke, panicked.Error())
	}
	return p, c
}

func (p *fakePlan) Add(ready *database.PreparedReservation) bool {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	key := p.all.keys[ready]
	if strings.HasPrefix(key, "panic") {
		panic(key)
	}
	if strings.HasPrefix(key, "ordinary") {
		return false
	}
	p.keys = append(p.keys, key)
	return true
}

func (p *fakePlan) Close() {}

func (p *fakePlan) Contended() bool { return false }

func (p *fakePlan) Discard() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.all.dropped++
}

func (p *fakePlan) Commit(context.Context) (models.Outcome, error) {
	p.all.started <- len(p.keys)
	<-p.all.released
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.all.plans = append(p.all.plans, p.keys)
	if strings.HasPrefix(p.keys[0], "late") {
		panic(p.keys[0])
	}
	if p.all.refuse > 0 {
		p.all.refuse--
		return models.Outcome{}, p.all.with
	}
	return models.Outcome{Results: make([]models.WriteResult, len(p.keys))}, nil
}

// planning starts a first plan, puts the keys in line behind it, and lets all go.
func planning(t *testing.T, f *fakePlans, c *combiner, keys ...string) *callers {
	t.Helper()
	line := busy(t, f.fakeTruth, c)
	for _, key := range keys {
		line.submit(t.Context(), receive(key, "x", 1))
	}
	close(f.released)
	line.Wait()
	return line
}

// What arrives while a plan is under way is decided at once, and is the next
// plan, in order of arrival.
func TestPlanGathers(t *testing.T) {
	t.Parallel()
	f, c := newFakePlans()
	planning(t, f, c, "a", "b", "c")
	require.Equal(t, [][]string{{"first"}, {"a", "b", "c"}}, f.plans)
	require.Empty(t, f.batches)
	require.Equal(t, []planEnd{planCommitted, planCommitted}, f.ends)
}

// What cannot be decided ahead is decided the ordinary way, in its place in
// line: nobody overtakes it.
func TestPlanKeepsTheLine(t *testing.T) {
	t.Parallel()
	f, c := newFakePlans()
	planning(t, f, c, "a", "ordinary", "b")
	require.Equal(t, [][]string{{"first"}, {"a"}}, f.plans)
	require.Equal(t, [][]string{{"ordinary", "b"}}, f.batches)
}

// What nothing is remembered of is read first, for all that are in line, and then
// decided ahead; where reading does not help, once, and the ordinary way.
func TestPlanFetchesTheUnknown(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		fetch func(ctx context.Context, read func()) error
		plans []string // in order
		rest  [][]string
		broke int
	}{
		"it is read":     {func(_ context.Context, read func()) error { read(); return nil }, []string{"first", "a", "b", "c", "d"}, nil, 0},
		"it is not":      {func(ctx context.Context, _ func()) error { <-ctx.Done(); return ctx.Err() }, []string{"first", "a"}, [][]string{{"ordinary b", "ordinary c", "d"}}, 0},
		"reading panics": {func(context.Context, func()) error { panic("broken") }, []string{"first", "a"}, [][]string{{"ordinary b", "ordinary c", "d"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := newFakePlans()
			asked := 0
			c.unknown = func(ready *database.PreparedReservation) []string {
				f.mu.Lock()
				defer f.mu.Unlock()
				if !strings.HasPrefix(f.keys[ready], "ordinary") {
					return nil
				}
				return []string{f.keys[ready]}
			}
			c.fetch = func(ctx context.Context, ids []string) error {
				asked++
				return is.fetch(ctx, func() {
					f.mu.Lock()
					defer f.mu.Unlock()
					for ready, key := range f.keys {
						if slices.Contains(ids, key) {
							f.keys[ready] = strings.TrimPrefix(key, "ordinary ")
						}
					}
				})
			}
			line := planning(t, f, c, "a", "ordinary b", "ordinary c", "d")
			require.NoError(t, line.told("ordinary c"))
			require.LessOrEqual(t, asked, 2)
			require.Equal(t, is.plans, slices.Concat(f.plans...))
			require.Equal(t, is.rest, f.batches)
			require.Len(t, f.broke, is.broke*asked)
		})
	}
}

// When a plan is refused, its callers are answered the ordinary way, and so are
// those who were decided on top of it: what they counted on has not happened.
func TestPlanRefused(t *testing.T) {
	t.Parallel()
	f, c := newFakePlans()
	f.refuse, f.with = 1, database.ErrRefused
	line := planning(t, f, c, "a", "b")
	require.Equal(t, [][]string{{"first"}, {"a", "b"}}, f.plans, "decided anew, on what the ordinary way left")
	require.Equal(t, [][]string{{"first"}}, f.batches)
	require.Equal(t, 2, f.dropped)
	require.NoError(t, line.told("a"))
	require.Equal(t, []planEnd{planRefused, planDissolved, planCommitted}, f.ends)
	require.Empty(t, f.broke)
}

// A plan that got no answer in time may have happened: nothing is tried again,
// and the callers are told to.
func TestPlanWithoutAnswer(t *testing.T) {
	t.Parallel()
	f, c := newFakePlans()
	f.refuse, f.with = 2, models.Unavailable("no answer", fmt.Errorf("commit: %w", context.DeadlineExceeded))
	close(f.released)
	_, err := c.submit(t.Context(), receive("a", "x", 1))
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	require.Empty(t, f.batches)
	require.Equal(t, 1, f.dropped)
	require.Equal(t, []planEnd{planFailed}, f.ends)
}

// Who gives up before the plan is sent takes nothing.
func TestPlanWithoutThoseWhoGaveUp(t *testing.T) {
	t.Parallel()
	f, c := newFakePlans()
	line := busy(t, f.fakeTruth, c)
	ctx, cancel := context.WithCancel(t.Context())
	line.submit(t.Context(), receive("a", "x", 1))
	line.submit(ctx, receive("gone", "x", 1))
	line.submit(t.Context(), receive("b", "x", 1))
	cancel()
	eventually(t, func() bool { return models.CodeOf(line.told("gone")) == models.CodeUnavailable })
	close(f.released)
	line.Wait()
	require.Equal(t, [][]string{{"first"}}, f.plans)
	require.Equal(t, [][]string{{"a", "b"}}, f.batches)
	require.Equal(t, 1, f.dropped)
	require.Equal(t, []planEnd{planCommitted, planDissolved}, f.ends)
}

// A write that breaks the plan is decided the ordinary way, and nobody is lost;
// but it is told, once and with its place.
func TestPlanPanics(t *testing.T) {
	t.Parallel()
	f, c := newFakePlans()
	line := planning(t, f, c, "a", "panic", "b")
	for _, key := range []string{"a", "panic", "b"} {
		require.NoError(t, line.told(key))
	}
	require.Equal(t, 1, f.dropped)
	require.Contains(t, f.batches[0], "panic")
	require.Contains(t, f.ends, planDissolved)
	require.Len(t, f.broke, 1)
	require.Contains(t, f.broke[0], "panic: panic\n")
	require.Contains(t, f.broke[0], "fakePlan).Add", "where")
}

// So is one that breaks while it is carried out.
func TestPlanPanicsLate(t *testing.T) {
	t.Parallel()
	f, c := newFakePlans()
	line := planning(t, f, c, "late")
	require.NoError(t, line.told("late"))
	require.Equal(t, [][]string{{"late"}}, f.batches)
	require.Equal(t, []planEnd{planCommitted, planFailed}, f.ends)
	require.Len(t, f.broke, 1)
	require.Contains(t, f.broke[0], "fakePlan).Commit")
}

// What broke a plan is in the log, with its stack.
func TestPlanPanicIsLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := &Store{log: slog.New(slog.NewJSONHandler(&log, nil))}
	s.planBroke(&panicError{"oh", []byte("where it was")})
	require.Contains(t, log.String(), `"panic":"oh","stack":"where it was"`)
}

// Plans are counted by how they ended, from zero on.
func TestPlanMetrics(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: storetest.Postgres(t)})
	const refused, committed = "onhand_write_plans_total{refused}", "onhand_write_plans_total{committed}"
	require.Contains(t, measured(t, s), "onhand_write_plans_total{dissolved}")
	require.Zero(t, measured(t, s)[committed])
	stockUp(t, s, 10_000, "x")
	eventually(t, func() bool {
		write(t, s, reserve(rand.Text(), "x", 1, time.Hour))
		return measured(t, s)[committed] > 0
	})
	require.Zero(t, measured(t, s)[refused])
	db, err := sql.Open("pgx", s.config.DatabaseURL)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "UPDATE products SET low_stock_threshold = 3 WHERE product_id = 'x'")
	require.NoError(t, err)
	write(t, s, reserve(rand.Text(), "x", 1, time.Hour))
	require.EqualValues(t, 1, measured(t, s)[refused], "what was remembered is no longer so")
}

// A plan has a bound of holds, and one of levels.
func TestPlanBounds(t *testing.T) {
	t.Parallel()
	f, c := newFakePlans()
	line := busy(t, f.fakeTruth, c)
	fill := func(n, levels int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for range n {
			s := &seat{write: receive("filler", "x", 1), levels: levels, done: make(chan struct{})}
			s.ready = c.prepare(s.write)
			c.waiting = append(c.waiting, s)
		}
	}
	fill(1, plannedLevelsMax)
	fill(plannedMax+1, 1)
	line.before = plannedMax + 2
	line.submit(t.Context(), receive("last", "x", 1))
	close(f.released)
	line.Wait()
	var sizes []int
	for _, p := range f.plans {
		sizes = append(sizes, len(p))
	}
	require.Equal(t, []int{1, 1, plannedMax, 2}, sizes)
}

// Those of a refused plan are decided in batches of the size that one
// transaction may have.
func TestPlanRefusedInBatches(t *testing.T) {
	t.Parallel()
	f, c := newFakePlans()
	f.refuse, f.with = 2, database.ErrRefused
	keys := make([]string, writeBatchMax+1)
	for i := range keys {
		keys[i] = fmt.Sprint("key ", i)
	}
	planning(t, f, c, keys...)
	var sizes []int
	for _, batch := range f.batches {
		sizes = append(sizes, len(batch))
	}
	require.Equal(t, []int{1, writeBatchMax, 1}, sizes)
}
