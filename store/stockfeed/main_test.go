package stockfeed

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"onhand/models"
	"onhand/models/stockjson"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	epoch = "epoch-1"
	// soon is how long a test waits for what must happen. It is long, for the
	// machine may be busy; a test that passes does not wait.
	soon = 20 * time.Second
	// tick is how often a condition without an event is looked at.
	tick = 5 * time.Millisecond
)

// server is a Redis that can go away and come back.
type server interface {
	Addr() string
	Kill() error
	Start() error
}

// embedded makes miniredis a server.
type embedded struct {
	*miniredis.Miniredis
	addr string
}

func (e embedded) Addr() string { return e.addr }
func (e embedded) Kill() error  { e.Close(); return nil }

// Start tries for a while: meanwhile somebody's connection may have got the port.
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

func channelOf(id string) string            { return channels{}.StockChannel(id) }
func reservationChannelOf(id string) string { return channels{}.ReservationChannel(id) }

// epochFunc is an EpochSource.
type epochFunc func() string

func (f epochFunc) Epoch() string { return f() }

func clientOf(t testing.TB, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: addr, Protocol: 2, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
	})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// stockAt is product id at a version; its quantity is the version.
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

// shop stands for the database: the current stock and reservations.
type shop struct {
	mu           sync.Mutex
	stocks       map[string]*models.Stock
	reservations map[string]models.Reservation
	broken       bool
	unreadable   map[string]error
	reads        atomic.Int64 // ids read
	asked        atomic.Int64 // calls
}

var errShop = errors.New("the database is away")

func newShop() *shop {
	return &shop{stocks: make(map[string]*models.Stock), reservations: make(map[string]models.Reservation)}
}

func (s *shop) set(id string, version int64) *models.Stock {
	return s.put(stockAt(id, epoch, version))
}

func (s *shop) put(stock *models.Stock) *models.Stock {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stocks[stock.ProductID] = stock
	return stock
}

func (s *shop) breakDown(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

func (s *shop) Stocks(_ context.Context, ids []string) ([]*models.Stock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked.Add(1)
	if s.broken {
		return nil, errShop
	}
	s.reads.Add(int64(len(ids)))
	list := make([]*models.Stock, len(ids))
	causes := map[string]error{}
	for i, id := range ids {
		if cause := s.unreadable[id]; cause != nil {
			causes[id] = cause
		} else {
			list[i] = s.stocks[id]
		}
	}
	if len(causes) > 0 {
		return list, &models.PoisonRowsError{Causes: causes}
	}
	return list, nil
}

// breakProduct makes one product unreadable, or readable again.
func (s *shop) breakProduct(id string, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unreadable == nil {
		s.unreadable = map[string]error{}
	}
	delete(s.unreadable, id)
	if broken {
		s.unreadable[id] = errShop
	}
}

func (s *shop) ReadReservations(_ context.Context, ids []string) ([]*models.Reservation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked.Add(1)
	if s.broken {
		return nil, errShop
	}
	list := make([]*models.Reservation, len(ids))
	for i, id := range ids {
		if r, ok := s.reservations[id]; ok {
			now := r.At(time.Now().UTC())
			list[i] = &now
		}
	}
	return list, nil
}

func (s *shop) reserve(r models.Reservation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reservations[r.ID] = r
}

// quick are the bounds of most tests: nothing happens by time unless a test
// asks for it.
func quick(s *shop) HubConfig {
	return HubConfig{
		Channels: channels{}, Epochs: epochFunc(func() string { return "" }), Stocks: s, Reservations: s,
		Linger: time.Minute, ConfirmTimeout: soon, PingInterval: soon, RereadInterval: time.Hour,
	}
}

// startHub starts a hub at a Redis that is there, and waits until it hears it.
func startHub(t *testing.T, addr string, cfg HubConfig) *Hub {
	t.Helper()
	h := startHubAlone(t, addr, cfg)
	require.Eventually(t, h.Connected, soon, tick)
	return h
}

// startHubAlone starts a hub whose Redis may be down.
func startHubAlone(t *testing.T, addr string, cfg HubConfig) *Hub {
	t.Helper()
	cfg.Client = clientOf(t, addr)
	h := NewHub(cfg)
	require.NoError(t, h.Start(t.Context()))
	t.Cleanup(h.Stop)
	<-h.Started()
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

// quiet says that a watch has nothing to give now.
func quiet(t *testing.T, w *StockWatch) {
	t.Helper()
	s, err := w.seat.box.pop()
	require.NoError(t, err)
	require.Nil(t, s)
}

// publish sends a stock as the cache does, and returns how many heard it.
func publish(t *testing.T, raw *redis.Client, s *models.Stock) int64 {
	t.Helper()
	n, err := raw.Publish(t.Context(), channelOf(s.ProductID), stockjson.Encode(s)).Result()
	require.NoError(t, err)
	return n
}

// heard waits until the hub has taken in n messages since it was made.
func heard(t *testing.T, h *Hub, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return h.Stats().Messages >= n }, soon, tick)
	// The counter moves just before the message is taken in.
	h.stocks.mu.Lock()
	defer h.stocks.mu.Unlock()
}

func subscriptions(t *testing.T, raw *redis.Client, channel string) int64 {
	t.Helper()
	counts, err := raw.PubSubNumSub(t.Context(), channel).Result()
	require.NoError(t, err)
	return counts[channel]
}
