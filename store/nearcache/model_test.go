package nearcache

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
)

// world is what a near cache is kept true to: a database, a Redis, and the connection
// of the feed. Everything happens when the test says so, one step after the other. A
// read takes other steps while it is under way.
type world struct {
	*bench
	rapid *rapid.T

	database map[string]int64 // versions of the current epoch
	redis    map[string]int64 // versions that Redis has; nothing for a miss
	history  []redisChange    // of Redis in this epoch
	acked    map[string]int64 // versions of this instance's commits that were answered
	bypassed map[string]bool  // Redis missed a commit of this instance
	restored int              // how often there was a new one
	pings    []instant        // on their way to Redis
	answers  []func()         // what Redis has sent and the instance has not read, in order
	open     bool             // the handler was called
	subbed   bool             // Redis sends messages
	depth    int              // reads under way
	served   int              // stocks that the near cache served
}

// redisChange says that Redis has a version of a product from a moment on.
type redisChange struct {
	at      int64
	id      string
	version int64
}

var worldProducts = []string{"a", "b", "c"}

func newWorld(t *rapid.T) *world {
	w := &world{
		bench: newBench(t), rapid: t, database: map[string]int64{}, redis: map[string]int64{}, acked: map[string]int64{},
		bypassed: map[string]bool{}, open: true, subbed: true,
	}
	w.NearCache.shared = w
	for _, id := range worldProducts {
		w.commit(id)
	}
	return w
}

// Stocks is the shared reader: Redis, or else the database. Other steps are taken
// before Redis answers and after.
func (w *world) Stocks(_ context.Context, ids []string) ([]*models.Stock, error) {
	w.meanwhile()
	epoch := w.epochs.Epoch()
	found := make([]*models.Stock, len(ids))
	for i, id := range ids {
		version, cached := w.redis[id]
		found[i] = w.stock(id, version, epoch)
		if !cached || w.bypassed[id] {
			found[i] = w.stock(id, w.database[id], epoch)
			found[i].Source = models.FromDatabase
		}
	}
	w.meanwhile()
	return found, nil
}

func (w *world) Bypass(ids []string)     { w.bypassed[ids[0]] = true }
func (w *world) BypassAll(time.Duration) {}

func (w *world) stock(id string, version int64, epoch string) *models.Stock {
	s := stockAt(id, version)
	s.Epoch = epoch
	return s
}

// meanwhile takes some steps during a read.
func (w *world) meanwhile() {
	if w.depth > 2 {
		return
	}
	for range rapid.IntRange(0, 4).Draw(w.rapid, "meanwhile") {
		w.step()
	}
}

// put sets a version in Redis and publishes it.
func (w *world) put(id string, version int64) {
	if stored, ok := w.redis[id]; ok && stored > version {
		return
	}
	w.redis[id] = version
	w.history = append(w.history, redisChange{w.now.monotonic, id, version})
	stock := w.stock(id, version, w.epochs.Epoch())
	w.send(func() { w.publish(stock) })
}

// send puts an answer into the connection, if there is one.
func (w *world) send(answer func()) {
	if w.subbed {
		w.answers = append(w.answers, answer)
	}
}

func (w *world) commit(id string) {
	w.database[id]++
	w.put(id, w.database[id])
}

// step takes one step.
func (w *world) step() {
	id := rapid.SampledFrom(worldProducts).Draw(w.rapid, "product")
	steps := map[string]func(){
		"1 read":             func() { w.check(worldProducts) },
		"2 read one":         func() { w.check([]string{id}) },
		"3 pass":             func() { w.pass(time.Duration(rapid.IntRange(1, 400).Draw(w.rapid, "ms")) * time.Millisecond) },
		"4 sleep":            func() { w.pass(time.Duration(rapid.IntRange(1, 100).Draw(w.rapid, "s")) * time.Second) },
		"5 remote commit":    func() { w.commit(id) },
		"6 own commit":       func() { w.own(id) },
		"7 unpublished":      func() { w.unpublished(id) },
		"8 repair":           func() { w.bypassed[id] = false; w.put(id, w.database[id]) },
		"9 ping":             func() { w.pings = append(w.pings, w.now) },
		"a redis has a ping": w.answerPing,
		"b receive":          func() { w.receive(1) },
		"c receive all":      func() { w.receive(len(w.answers)) },
		"d disconnect":       w.disconnect,
		"e reconnect":        w.reconnect,
		"f epoch":            w.newEpoch,
		"g forget":           func() { delete(w.redis, id) },
		"h bypass all":       func() { w.NearCache.BypassAll(time.Second) },
		"i odd message":      func() { w.send(func() { w.message(id, "?") }) },
		"j evict":            func() { w.entries.Invalidate(id) },
		"k heartbeat":        w.heartbeat,
		"l wait":             func() { w.pass(freshMax); w.heartbeat() },
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range steps {
			if !yield(name) {
				return
			}
		}
	})
	// More likely: what makes entries, what lets them be served, and what makes them old.
	for range 3 {
		names = append(names, "1 read", "2 read one", "2 read one", "5 remote commit", "6 own commit", "k heartbeat", "k heartbeat", "l wait")
	}
	steps[rapid.SampledFrom(names).Draw(w.rapid, "step")]()
}

// own is a commit of this instance that Redis gets.
func (w *world) own(id string) {
	w.commit(id)
	version := w.database[id]
	stock := w.stock(id, version, w.epochs.Epoch())
	stock.Source = models.FromDatabase
	w.Deliver([]*models.Stock{stock})
	w.acked[id] = version
}

// unpublished is a commit of this instance that Redis misses.
func (w *world) unpublished(id string) {
	w.database[id]++
	w.NearCache.Bypass([]string{id})
	w.acked[id] = w.database[id]
}

func (w *world) answerPing() {
	if len(w.pings) == 0 {
		return
	}
	sent := w.pings[0]
	w.pings = w.pings[1:]
	w.send(func() {
		if !w.open { // the first answer opens the feed
			w.open = true
			w.feed.sessions.Store(&[]*feedSession{{feed: w.feed}})
			w.opened()
		}
		w.pong(sent)
	})
}

// heartbeat is a ping that is answered at once, after everything that was sent.
func (w *world) heartbeat() {
	w.pings = append(w.pings, w.now)
	for len(w.pings) > 0 {
		w.answerPing()
	}
	w.receive(len(w.answers))
}

func (w *world) receive(n int) {
	for range min(n, len(w.answers)) {
		answer := w.answers[0]
		w.answers = w.answers[1:]
		answer()
	}
}

func (w *world) disconnect() {
	w.pings, w.answers, w.subbed = nil, nil, false
	if w.open {
		w.open = false
		w.feed.sessions.Store(nil)
		w.closed()
	}
}

func (w *world) reconnect() {
	w.disconnect()
	w.subbed = true
}

// newEpoch is a database that was restored: versions begin again.
func (w *world) newEpoch() {
	w.restored++
	w.epochs.set(fmt.Sprint("e", w.restored))
	clear(w.redis)
	clear(w.bypassed)
	clear(w.acked)
	w.history = nil
	for _, id := range worldProducts {
		w.database[id] = 1
	}
}

// check reads products and checks what the near cache served.
func (w *world) check(ids []string) {
	w.depth++
	defer func() { w.depth-- }()
	began, epoch := w.now.monotonic, w.epochs.Epoch()
	least, acked := map[string]int64{}, map[string]int64{}
	for _, change := range w.history {
		if change.at <= began-int64(freshMax) {
			least[change.id] = max(least[change.id], change.version)
		}
	}
	for _, id := range ids {
		acked[id] = w.acked[id]
	}
	stocks, err := w.NearCache.Stocks(context.Background(), ids)
	require.NoError(w.rapid, err)
	for i, s := range stocks {
		require.Equal(w.rapid, ids[i], s.ProductID)
		if s.Source != models.FromNearCache {
			continue
		}
		require.Equal(w.rapid, epoch, s.Epoch, "another epoch was served")
		require.GreaterOrEqual(w.rapid, s.Version, least[ids[i]], "%s is older than the bound", ids[i])
		require.GreaterOrEqual(w.rapid, s.Version, acked[ids[i]], "%s is older than an answered commit of this instance", ids[i])
		require.Equal(w.rapid, int(s.Version), s.Quantity())
		w.served++
	}
}

// TestModel: whatever happens in whatever order, an answer of the near cache is never
// older than Redis was freshMax before the read, never older than a commit of this
// instance that was answered, and never of another epoch.
func TestModel(t *testing.T) {
	t.Parallel()
	served := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			w.step()
		}
		served += w.served
	})
	require.Positive(t, served)
}
