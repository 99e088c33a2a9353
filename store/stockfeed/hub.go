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
	// watchesMaxDefault bounds the watches of an instance. Each belongs to a client
	// with a socket, which costs far more memory than the watch.
	watchesMaxDefault = 20_000
	// WatchIDsMax is how many products one watch may have.
	WatchIDsMax = models.StocksMax
	// lingerDefault is how long a topic stays subscribed after its last watch, so
	// that a page that is reloaded finds it subscribed.
	lingerDefault = 5 * time.Second
	// confirmTimeoutDefault is how long a new watch waits for Redis to confirm its
	// subscriptions before it reads all the same.
	confirmTimeoutDefault = 250 * time.Millisecond
	// pingIntervalDefault is how often the connection is checked. A dead one is
	// noticed within three intervals.
	pingIntervalDefault = time.Second
	// refreshIntervalDefault is how late a change may be that no message announced:
	// of reservations always, of stock while Redis is disconnected.
	refreshIntervalDefault = 5 * time.Second
)

// ChannelNames gives the Redis channels on which changes are published.
type ChannelNames interface {
	StockChannel(productID string) string
	ReservationChannel(reservationID string) string
	// DirectoryChannel is the channel of locations and channels.
	DirectoryChannel() string
}

// StockReader reads the current stock of products.
type StockReader interface {
	// Stocks reads at most WatchIDsMax products. A product that does not exist is
	// nil or left out. Products with poison rows are in a *poison.RowsError,
	// which is returned beside the other stocks.
	Stocks(ctx context.Context, ids []string) ([]*models.Stock, error)
}

// ReservationReader reads reservations from the database, with ServerTime.
type ReservationReader interface {
	ReadReservations(ctx context.Context, ids []string) ([]*models.Reservation, error)
}

// HubConfig configures a Hub. Zero bounds mean defaults.
type HubConfig struct {
	// Client makes the one connection. Redis may be down.
	Client       redis.UniversalClient
	Channels     ChannelNames
	Epochs       EpochSource
	Stocks       StockReader
	Reservations ReservationReader
	Logger       *slog.Logger
	// Ahead, unless nil, is called when a stock comes that is older than the latest
	// one of the same epoch, with the version of the latest one. It must not block.
	Ahead func(productID, epoch string, version int64)
	// OnStocks, unless nil, is called with stocks before they are delivered to watches, so
	// that a client that reads again because of a value finds no older one. It must not
	// block.
	OnStocks func(stocks []*models.Stock)
	// OnDirectory, unless nil, is called when locations or channels have changed, or
	// when a message that says so may be missing. It must not block.
	OnDirectory func()

	// WatchesMax bounds the watches of stock and of reservations together.
	WatchesMax int
	// Linger is how long a topic stays subscribed after its last watch.
	Linger time.Duration
	// ConfirmTimeout bounds how long a new watch waits for Redis to confirm.
	ConfirmTimeout time.Duration
	// PingInterval is how often the connection is checked.
	PingInterval time.Duration
	// RefreshInterval is how often watched reservations are refreshed, and watched
	// stock too while Redis is disconnected.
	RefreshInterval time.Duration
}

// Hub lets all watches of this instance share one Redis connection.
type Hub struct {
	service
	cfg          HubConfig
	epoch        epochTracker
	subscriber   *subscriber
	stocks       *registry[models.Stock]
	reservations *registry[models.Reservation]
	slots        chan struct{} // one token for each watch

	poisonMu sync.Mutex
	poison   map[string]bool // products with poison rows, to retry; bounded by the watched products
}

// NewHub makes a hub. Watches may begin before it is started; until then they
// get only what is delivered by this instance.
func NewHub(cfg HubConfig) *Hub {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.WatchesMax <= 0 {
		cfg.WatchesMax = watchesMaxDefault
	}
	setDefault(&cfg.Linger, lingerDefault)
	setDefault(&cfg.ConfirmTimeout, confirmTimeoutDefault)
	setDefault(&cfg.PingInterval, pingIntervalDefault)
	setDefault(&cfg.RefreshInterval, refreshIntervalDefault)

	h := &Hub{
		service: newService(), cfg: cfg, epoch: epochTracker{source: cfg.Epochs},
		slots: make(chan struct{}, cfg.WatchesMax), poison: make(map[string]bool),
	}
	h.subscriber = newSubscriber(cfg.Client, cfg.PingInterval, h, cfg.Logger)
	stocks := newRefresher("stock", cfg.Logger, h.refreshStocks)
	h.stocks = newRegistry(stockKind{cfg.Channels, cfg.Ahead}, cfg.Epochs, h.subscriber, stocks)
	reservations := newRefresher("reservations", cfg.Logger, h.readReservations)
	h.reservations = newRegistry(reservationKind{cfg.Channels, reservations}, cfg.Epochs, h.subscriber, reservations)
	return h
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Start connects to Redis, now or as soon as it is there. The hub stops when
// ctx ends.
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
	group.Go(func() { h.stocks.refresher.run(ctx) })
	group.Go(func() { h.reservations.refresher.run(ctx) })
	h.runTimers(ctx)
}

// runTimers does the periodic work until ctx ends.
func (h *Hub) runTimers(ctx context.Context) {
	idle := time.NewTicker(max(h.cfg.Linger/2, time.Millisecond))
	defer idle.Stop()
	refresh := time.NewTimer(backoff.Jitter(h.cfg.RefreshInterval))
	defer refresh.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-idle.C:
			h.stocks.unsubscribeIdle(h.cfg.Linger)
			h.reservations.unsubscribeIdle(h.cfg.Linger)
			h.epoch.current() // notices a change soon, also while no reservation is delivered
		case <-refresh.C:
			refresh.Reset(backoff.Jitter(h.cfg.RefreshInterval))
			h.retryPoison()
			h.reservations.refreshAll(notEnded)
			if !h.Connected() {
				h.stocks.refreshAll(anyStock)
			}
		}
	}
}

// Refresh reads everything watched again. Call it when values may have changed
// without a message, as after an epoch change.
func (h *Hub) Refresh() {
	h.stocks.refreshAll(anyStock)
	h.reservations.refreshAll(notEnded)
}

// Connected reports whether the hub receives messages from Redis now.
func (h *Hub) Connected() bool { return h.subscriber.connected.Load() }

// HubStats are the hub's numbers, for metrics.
type HubStats struct {
	// Watches counts the current watches, Watched their products. Products and
	// Reservations count the subscribed channels: some stay for a while after their last
	// watch.
	Watches, Watched, Products, Reservations int
	// Connections and Messages count those since NewHub, Refreshes the values that
	// were read again.
	Connections, Messages, Refreshes int64
	Connected                        bool
}

// Stats returns the hub's numbers.
func (h *Hub) Stats() HubStats {
	stockWatches, watched, products := h.stocks.size()
	reservationWatches, _, reservations := h.reservations.size()
	return HubStats{
		Watches: stockWatches + reservationWatches, Watched: watched, Products: products, Reservations: reservations,
		Connections: h.subscriber.connections.Load(), Messages: h.subscriber.messages.Load(),
		Refreshes: h.stocks.refresher.reads.Load() + h.reservations.refresher.reads.Load(),
		Connected: h.Connected(),
	}
}

// acquireSlot takes a slot for one more watch.
func (h *Hub) acquireSlot() error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
		return models.Unavailable("too many watchers; please try again later", nil)
	}
}

func (h *Hub) releaseSlot() { <-h.slots }

// The hub implements channelHandler.

func (h *Hub) channels() []string {
	channels := append(h.stocks.channels(), h.reservations.channels()...)
	if h.cfg.OnDirectory != nil {
		channels = append(channels, h.cfg.Channels.DirectoryChannel())
	}
	return channels
}

// ofDirectory calls OnDirectory for the channel of the directory. It returns false for
// any other channel.
func (h *Hub) ofDirectory(channel string) bool {
	if h.cfg.OnDirectory == nil || channel != h.cfg.Channels.DirectoryChannel() {
		return false
	}
	h.cfg.OnDirectory()
	return true
}

func (h *Hub) confirmed(channel string) {
	if !h.ofDirectory(channel) && !h.stocks.confirmed(channel) {
		h.reservations.confirmed(channel)
	}
}

func (h *Hub) disconnected() {
	h.stocks.disconnected()
	h.reservations.disconnected()
}

func (h *Hub) message(channel, payload string, lone bool) {
	if id, ok := h.stocks.idOf(channel); ok {
		h.stockMessage(id, payload, lone)
	} else if id, ok := h.reservations.idOf(channel); ok {
		h.reservations.refresher.add(id)
	} else {
		h.ofDirectory(channel)
	}
}
