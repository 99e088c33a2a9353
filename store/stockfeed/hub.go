package stockfeed

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/models"
	"onhand/store/backoff"
)

const (
	// watchesMaxDefault is how many watches a process serves. Each is a shopper
	// with a socket of its own, which costs far more than the watch.
	watchesMaxDefault = 20_000
	// WatchIDsMax is how many products one watch may name.
	WatchIDsMax = models.StocksMax
	// topicsMax is how many products, and how many reservations, may be watched
	// at once in a process: it bounds the channels of the one connection and
	// what a reconnect has to read again.
	topicsMax = 100_000
	// lingerDefault is how long a product stays subscribed after its last
	// watcher: a page that is reloaded finds it still there.
	lingerDefault = 5 * time.Second
	// confirmWaitDefault is how long a new watch waits for Redis before it
	// reads all the same.
	confirmWaitDefault = 250 * time.Millisecond
	// pingEveryDefault is how often the connection is tried; one that is dead is
	// noticed within three of them.
	pingEveryDefault = time.Second
	// repairEveryDefault is how often reservations are read again unasked, and
	// stock too while there is no connection.
	repairEveryDefault = 5 * time.Second
)

// HubConfig is what a Hub needs; zero bounds mean defaults.
type HubConfig struct {
	// Client makes the one connection; it may point to a Redis that is down.
	Client redis.UniversalClient
	// Channel and ReservationChannel name the pub/sub channel of an id.
	Channel, ReservationChannel func(id string) string
	// Epoch is the history the database is in, as far as this process knows;
	// empty while it does not. It must not block. Call Refresh after it changed.
	Epoch func() string
	// ReadStocks reads the current stock of products, nil (or left out) for
	// unknown ones. At most WatchIDsMax ids. Those that cannot be read are in an
	// *UnreadableError beside the others.
	ReadStocks func(ctx context.Context, ids []string) ([]*models.Stock, error)
	// ReadReservations reads reservations from the database, with ServerTime.
	ReadReservations func(ctx context.Context, ids []string) ([]*models.Reservation, error)
	Logger           *slog.Logger

	// WatchesMax bounds the watches of the process, of both kinds together.
	WatchesMax int
	// Linger is how long a channel stays subscribed after its last watcher.
	Linger time.Duration
	// ConfirmWait bounds how long Watch waits for Redis to confirm.
	ConfirmWait time.Duration
	// PingEvery is how often the connection is tried.
	PingEvery time.Duration
	// RepairEvery is how often reservations are read again unasked, and stock
	// too while Redis is away.
	RepairEvery time.Duration
}

// Hub lets any number of watchers in this process share one Redis connection.
type Hub struct {
	service
	cfg          HubConfig
	subscriber   *subscriber
	stocks       *board[models.Stock]
	reservations *board[models.Reservation]
	seats        chan struct{} // one token for each watch

	unreadableMu sync.Mutex
	unreadable   map[string]bool // products; bounded by what is watched in between two repairs

	historyMu sync.Mutex
	epoch     string    // as cfg.Epoch said last
	changed   time.Time // when that replaced another one
}

// NewHub makes a hub. It can be watched before it is started; it just hears
// nothing yet but what is offered.
func NewHub(cfg HubConfig) *Hub {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Epoch == nil {
		cfg.Epoch = func() string { return "" }
	}
	if cfg.WatchesMax <= 0 {
		cfg.WatchesMax = watchesMaxDefault
	}
	setDefault(&cfg.Linger, lingerDefault)
	setDefault(&cfg.ConfirmWait, confirmWaitDefault)
	setDefault(&cfg.PingEvery, pingEveryDefault)
	setDefault(&cfg.RepairEvery, repairEveryDefault)

	h := &Hub{service: newService(), cfg: cfg, seats: make(chan struct{}, cfg.WatchesMax), unreadable: make(map[string]bool)}
	h.subscriber = newSubscriber(cfg.Client, cfg.PingEvery, h, cfg.Logger)
	h.stocks = newBoard(cfg.Channel, cfg.Epoch, acceptStock)
	h.stocks.same = sameStock
	h.stocks.subscriber = h.subscriber
	h.stocks.rereader = newRereader("stock", cfg.Logger, h.rereadStocks)
	h.reservations = newBoard(cfg.ReservationChannel, cfg.Epoch, h.acceptReservation)
	h.reservations.subscriber = h.subscriber
	h.reservations.rereader = newRereader("reservations", cfg.Logger, h.readReservations)
	return h
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Start begins to listen to Redis, now or whenever there is one. When ctx ends
// the hub stops.
func (h *Hub) Start(ctx context.Context) error { return h.start(ctx, h.run) }

// Stop ends every watch with ErrStopped and waits for the hub's goroutines.
func (h *Hub) Stop() {
	h.stop()
	h.stocks.stop()
	h.reservations.stop()
}

func (h *Hub) run(ctx context.Context) {
	defer h.reservations.stop()
	defer h.stocks.stop()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { h.subscriber.run(ctx) })
	group.Go(func() { h.stocks.rereader.run(ctx) })
	group.Go(func() { h.reservations.rereader.run(ctx) })
	h.tend(ctx)
}

// tend does what is due by time.
func (h *Hub) tend(ctx context.Context) {
	sweep := time.NewTicker(max(h.cfg.Linger/2, time.Millisecond))
	defer sweep.Stop()
	repair := time.NewTimer(backoff.Jitter(h.cfg.RepairEvery))
	defer repair.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			h.stocks.sweep(h.cfg.Linger)
			h.reservations.sweep(h.cfg.Linger)
			h.history() // so that a change is noticed also while nobody asks
		case <-repair.C:
			repair.Reset(backoff.Jitter(h.cfg.RepairEvery))
			h.retryUnreadable()
			h.reservations.rereadAll(func(r *models.Reservation) bool { return !final(r.State) })
			if !h.Connected() {
				h.stocks.rereadAll(func(*models.Stock) bool { return true })
			}
		}
	}
}

// history is the epoch the database is in, and how long ago it replaced
// another one.
func (h *Hub) history() (epoch string, age time.Duration) {
	h.historyMu.Lock()
	defer h.historyMu.Unlock()
	if epoch = h.cfg.Epoch(); epoch != h.epoch {
		if h.epoch != "" {
			h.changed = time.Now()
		}
		h.epoch = epoch
	}
	return epoch, time.Since(h.changed)
}

// Refresh reads everything watched again. Call it when values may have changed
// without a word, as when the database's epoch has.
func (h *Hub) Refresh() {
	h.stocks.rereadAll(func(*models.Stock) bool { return true })
	h.reservations.rereadAll(func(r *models.Reservation) bool { return !final(r.State) })
}

// Connected tells whether the hub hears Redis right now.
func (h *Hub) Connected() bool { return h.subscriber.connected.Load() }

// HubStats are the hub's numbers, for metrics.
type HubStats struct {
	// Watches, Products and Reservations count what there is now; the latter two
	// are the subscribed channels.
	Watches, Products, Reservations int
	// Sessions counts the connections so far, Messages what they brought,
	// Rereads the values read again.
	Sessions, Messages, Rereads int64
	Connected                   bool
}

// Stats returns the hub's numbers.
func (h *Hub) Stats() HubStats {
	stockWatches, products := h.stocks.size()
	reservationWatches, reservations := h.reservations.size()
	return HubStats{
		Watches: stockWatches + reservationWatches, Products: products, Reservations: reservations,
		Sessions: h.subscriber.sessions.Load(), Messages: h.subscriber.messages.Load(),
		Rereads:   h.stocks.rereader.reads.Load() + h.reservations.rereader.reads.Load(),
		Connected: h.Connected(),
	}
}

// admit takes a place for one more watch.
func (h *Hub) admit() error {
	select {
	case h.seats <- struct{}{}:
		return nil
	default:
		return models.Unavailable("too many watchers; please try again later", nil)
	}
}

func (h *Hub) dismiss() { <-h.seats }

// The hub is the subscriber's audience.

func (h *Hub) channels() []string { return append(h.stocks.channels(), h.reservations.channels()...) }

func (h *Hub) confirmed(channel string) {
	if !h.stocks.confirmed(channel) {
		h.reservations.confirmed(channel)
	}
}

func (h *Hub) lost() {
	h.stocks.lost()
	h.reservations.lost()
}

func (h *Hub) message(channel, payload string) {
	if id, ok := h.stocks.idOf(channel); ok {
		h.stockMessage(id, payload)
	} else if id, ok := h.reservations.idOf(channel); ok {
		h.reservations.rereader.add(id)
	}
}
