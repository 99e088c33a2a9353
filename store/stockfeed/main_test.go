package stockfeed

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"onhand/models"
	"onhand/models/poison"
	"onhand/models/stockbinary"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	epoch = "epoch-1"
	// soon bounds the wait for an event. It is long, because the machine may be
	// busy; a test that passes waits only until the event.
	soon = 20 * time.Second
	// tick is how often a condition without an event is checked.
	tick = 5 * time.Millisecond
)

// server is a Redis that can be killed and started again.
type server interface {
	Addr() string
	ServerURL() string // with the account of an installation
	Kill() error
	Start() error
}

// embedded is miniredis as a server.
type embedded struct {
	*miniredis.Miniredis
	addr string
}

func (e embedded) Addr() string      { return e.addr }
func (e embedded) ServerURL() string { return "redis://" + e.addr }
func (e embedded) Kill() error       { e.Close(); return nil }

// Start retries, because a connection of another process may have the port.
func (e embedded) Start() (err error) {
	e.FlushAll()
	for begun := time.Now(); time.Since(begun) < soon; time.Sleep(tick) {
		if err = e.Restart(); err == nil {
			return nil
		}
	}
	return err
}

// onEvery runs a test against a real Redis and against the embedded one.
func onEvery(t *testing.T, test func(t *testing.T, s server)) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) { t.Parallel(); test(t, storetest.Redis(t)) })
	t.Run("embedded", func(t *testing.T) { t.Parallel(); m := miniredis.RunT(t); test(t, embedded{m, m.Addr()}) })
}

// channels names the channels as rediscache does.
type channels struct{}

func (channels) StockChannel(id string) string       { return "inventory_change:" + id }
func (channels) ReservationChannel(id string) string { return "reservation_change:" + id }
func (channels) DirectoryChannel() string            { return "directory_change" }

func channelOf(id string) string            { return channels{}.StockChannel(id) }
func reservationChannelOf(id string) string { return channels{}.ReservationChannel(id) }

// epochFunc is an EpochSource.
type epochFunc func() string

func (f epochFunc) Epoch() string { return f() }

// refused is a client of a Redis that refuses connections. It uses no network,
// so that tests may use it in a synctest bubble.
func refused(t testing.TB) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") },
		Addr:   "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, // a host name would be looked up
	})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// inBubble runs a test with a fake clock. The clock advances when all goroutines
// of the test wait.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// awaitInBubble advances the fake clock until a condition holds, at most by an
// hour.
func awaitInBubble(t *testing.T, condition func() bool) {
	t.Helper()
	synctest.Wait()
	step := tick
	for deadline := time.Now().Add(time.Hour); !condition(); synctest.Wait() {
		require.True(t, time.Now().Before(deadline), "the condition was never met")
		time.Sleep(step)
		step = min(2*step, time.Second)
	}
}

// clientOf is a client without an account.
func clientOf(t testing.TB, addr string) *redis.Client { return clientAt(t, "redis://"+addr) }

func clientAt(t testing.TB, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	options.Protocol, options.ContextTimeoutEnabled, options.MaxRetries, options.DialerRetries = 2, true, -1, 1
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = time.Second, time.Second, time.Second
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// stockAt is a stock whose quantity equals its version.
func stockAt(id, epoch string, version int64) *models.Stock {
	return &models.Stock{
		Product: models.Product{ProductID: id, Tracked: true, InventoryPolicy: models.Deny, Version: version},
		Levels: []models.Level{{
			ProductID: id, LocationID: "north", Active: true, Quantities: models.Quantities{Available: int(version)},
		}},
		Epoch: epoch,
		AsOf:  time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// fakeDatabase is a StockReader and ReservationReader.
type fakeDatabase struct {
	mu           sync.Mutex
	stocks       map[string]*models.Stock
	reservations map[string]models.Reservation
	down         bool
	poison       map[string]error // by product
	products     atomic.Int64     // products read
	calls        atomic.Int64
}

var errDatabase = errors.New("the database is down")

func newFakeDatabase() *fakeDatabase {
	return &fakeDatabase{stocks: make(map[string]*models.Stock), reservations: make(map[string]models.Reservation)}
}

func (d *fakeDatabase) set(id string, version int64) *models.Stock {
	return d.put(stockAt(id, epoch, version))
}

func (d *fakeDatabase) put(stock *models.Stock) *models.Stock {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stocks[stock.ProductID] = stock
	return stock
}

func (d *fakeDatabase) setDown(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func (d *fakeDatabase) Stocks(_ context.Context, ids []string) ([]*models.Stock, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls.Add(1)
	if d.down {
		return nil, errDatabase
	}
	d.products.Add(int64(len(ids)))
	list := make([]*models.Stock, len(ids))
	causes := map[string]error{}
	for i, id := range ids {
		if cause := d.poison[id]; cause != nil {
			causes[id] = cause
		} else {
			list[i] = d.stocks[id]
		}
	}
	if len(causes) > 0 {
		return list, &poison.RowsError{Causes: causes}
	}
	return list, nil
}

// setPoison adds a poison row to a product, or repairs it.
func (d *fakeDatabase) setPoison(id string, poison bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.poison == nil {
		d.poison = map[string]error{}
	}
	delete(d.poison, id)
	if poison {
		d.poison[id] = errDatabase
	}
}

func (d *fakeDatabase) ReadReservations(_ context.Context, ids []string) ([]*models.Reservation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls.Add(1)
	if d.down {
		return nil, errDatabase
	}
	list := make([]*models.Reservation, len(ids))
	for i, id := range ids {
		if r, ok := d.reservations[id]; ok {
			now := r.At(time.Now().UTC())
			list[i] = &now
		}
	}
	return list, nil
}

func (d *fakeDatabase) reserve(r models.Reservation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reservations[r.ID] = r
}

// hubConfig is for tests in which nothing happens by time.
func hubConfig(d *fakeDatabase) HubConfig {
	return HubConfig{
		Channels: channels{}, Epochs: epochFunc(func() string { return "" }), Stocks: d, Reservations: d,
		Linger: time.Minute, ConfirmTimeout: soon, PingInterval: soon, RefreshInterval: time.Hour,
	}
}

// startHub starts a hub and waits until it is connected.
func startHub(t *testing.T, url string, cfg HubConfig) *Hub {
	t.Helper()
	h := startHubAt(t, clientAt(t, url), cfg)
	require.Eventually(t, h.Connected, soon, tick)
	return h
}

// startHubAt starts a hub whose Redis may be down.
func startHubAt(t *testing.T, client redis.UniversalClient, cfg HubConfig) *Hub {
	t.Helper()
	cfg.Client = client
	h := NewHub(cfg)
	require.NoError(t, h.Start(t.Context()))
	t.Cleanup(h.Stop)
	<-h.started
	return h
}

func watch(t *testing.T, h *Hub, ids ...string) *StockWatch {
	t.Helper()
	w, err := h.WatchStock(t.Context(), ids)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// nextVersion waits for the next stock of a watch.
func nextVersion(t *testing.T, w *StockWatch) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	s, err := w.Next(ctx)
	require.NoError(t, err)
	require.EqualValues(t, s.Version, s.Quantity())
	return s.Version
}

// requireEmpty checks that a watch has no pending value.
func requireEmpty(t *testing.T, w *StockWatch) {
	t.Helper()
	s, err := w.watcher.queue.tryTake()
	require.NoError(t, err)
	require.Nil(t, s)
}

// publish publishes a stock as the cache does. It returns the number of
// subscribers.
func publish(t *testing.T, raw *redis.Client, s *models.Stock) int64 {
	t.Helper()
	n, err := raw.Publish(t.Context(), channelOf(s.ProductID), stockbinary.Encode(s).Message()).Result()
	require.NoError(t, err)
	return n
}

// awaitMessages waits until the hub has handled n messages since NewHub.
func awaitMessages(t *testing.T, h *Hub, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return h.Stats().Messages >= n }, soon, tick)
	// The hub counts a message just before it handles it, under this lock.
	h.stocks.mu.Lock()
	defer h.stocks.mu.Unlock()
}

func subscriptions(t *testing.T, raw *redis.Client, channel string) int64 {
	t.Helper()
	counts, err := raw.PubSubNumSub(t.Context(), channel).Result()
	require.NoError(t, err)
	return counts[channel]
}
