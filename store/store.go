package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/models"
	"onhand/store/backoff"
	"onhand/store/database"
	"onhand/store/rediscache"
	"onhand/store/stockfeed"
)

// Config says what to put together; zero values mean defaults.
type Config struct {
	// DatabaseURL: postgres://…, sqlite:PATH or sqlite::memory:.
	DatabaseURL string
	// RedisURL: redis://… or rediss://…; empty for one inside this process.
	RedisURL string
	// TTLDefault is how long a reservation holds when nobody says.
	TTLDefault time.Duration
	// TTLMax is the longest hold a reservation may ask for.
	TTLMax time.Duration
	// RedisTimeout bounds one round trip to Redis.
	RedisTimeout time.Duration
	// CacheTTL is how long a product stays in Redis unread and unchanged.
	CacheTTL time.Duration
	// SweepInterval is how often holds past their time are given back.
	SweepInterval time.Duration
	// KeepInterval is how often epoch, directory and mark are looked at.
	KeepInterval time.Duration
	// AuditInterval is how often the audit beside the service takes a step.
	AuditInterval time.Duration
	// KeyPrefix sets apart the Redis keys of several shops, or of tests.
	KeyPrefix string
	Logger    *slog.Logger
}

// Defaults of Config.
const (
	ttlDefaultDefault    = 15 * time.Minute
	ttlMaxDefault        = 24 * time.Hour
	cacheTTLDefault      = 10 * time.Minute
	sweepIntervalDefault = 500 * time.Millisecond
	keepIntervalDefault  = time.Second
	auditIntervalDefault = time.Second
)

func (c *Config) setDefaults() {
	c.TTLDefault = orDefault(c.TTLDefault, ttlDefaultDefault)
	c.TTLMax = orDefault(c.TTLMax, ttlMaxDefault)
	c.CacheTTL = orDefault(c.CacheTTL, cacheTTLDefault)
	c.SweepInterval = orDefault(c.SweepInterval, sweepIntervalDefault)
	c.KeepInterval = orDefault(c.KeepInterval, keepIntervalDefault)
	c.AuditInterval = orDefault(c.AuditInterval, auditIntervalDefault)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

// Store is the stock: one for a process. It is safe for concurrent use.
type Store struct {
	config   Config
	log      *slog.Logger
	database *database.Database
	cache    *rediscache.Cache
	hub      *stockfeed.Hub
	relay    *stockfeed.Relay
	embedded *embeddedRedis // nil with a real Redis
	clients  []redis.UniversalClient

	cached   *batcher[rediscache.Entry]
	stored   *batcher[readStock]
	writes   *combiner
	distrust distrust
	metrics  *metrics

	// Of Start, the keeper and Close, one after the other.
	holding *database.Claim // nil: none
	claimed time.Time       // when the claim was looked after last
	warned  bool            // that others serve the database too

	directory        atomic.Pointer[models.Directory]
	directoryReading sync.Mutex
	directoryVersion int64 // of the keeper alone
	sequence         int64 // of the keeper alone: as of its last look, in that epoch
	away             int   // of the keeper alone: looks in a row without an answer of Redis
	// epoch is the history the keeper last found the database in. It alone says
	// which copies are believed: answers of several connections may overtake
	// each other when a database is replaced.
	epoch atomic.Pointer[string]
	doubt chan struct{} // poked when an answer was of another epoch, and when Redis is back

	written   *bell         // rung by each commit
	followers chan struct{} // one token for each that follows the ledger

	stop    context.CancelFunc
	stopped sync.WaitGroup

	// Tests stand between a SELECT and its fill.
	beforeFill func(ids []string)
}

// Open makes the store. Neither database nor Redis need to be up yet; only
// what can never work is an error.
func Open(config Config) (*Store, error) {
	config.setDefaults()
	s := &Store{
		config: config, log: config.Logger, doubt: make(chan struct{}, 1), metrics: newMetrics(),
		written: newBell(), followers: make(chan struct{}, followersMax),
	}
	s.directory.Store(models.NewDirectory(nil, nil))
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	s.makeBatchers()
	s.writes = &combiner{
		run: s.database.Write, tell: s.tell, ran: s.metrics.ran, locked: s.database.Locked,
		prepare: s.database.Prepare, begin: s.newPlan, ended: s.metrics.planEnded, broke: s.planBroke,
		unknown: s.database.Unknown, fetch: s.database.Fetch, gatherWait: gatherWait,
	}
	return s, nil
}

func (s *Store) open() (err error) {
	if s.database, err = database.Open(s.config.DatabaseURL, s.log); err != nil {
		return err
	}
	url := s.config.RedisURL
	if url == "" {
		if s.embedded, err = startEmbeddedRedis(); err != nil {
			return fmt.Errorf("embedded redis: %w", err)
		}
		url = s.embedded.url()
	}
	reader, writer, err := rediscache.NewClients(url, s.config.RedisTimeout)
	if err != nil {
		return err
	}
	s.clients = []redis.UniversalClient{reader, writer}
	s.cache = rediscache.New(rediscache.Config{
		Client: reader, Writer: writer, TTL: s.config.CacheTTL, Timeout: s.config.RedisTimeout, Logger: s.log, KeyPrefix: s.config.KeyPrefix,
		Back: s.redisBack,
	})
	s.hub = stockfeed.NewHub(stockfeed.HubConfig{
		Client: reader, Channel: s.cache.Keys().StockChannel, ReservationChannel: s.cache.Keys().ReservationChannel,
		Epoch: s.believed, ReadStocks: s.Stocks, ReadReservations: s.database.ReadReservations, Logger: s.log,
	})
	s.relay = stockfeed.NewRelay(stockfeed.RelayConfig{
		Outbox: outbox{s.database}, Cache: s.cache, Read: s.readForRelay, Epoch: s.believed, Offer: s.hub.Offer,
		Forget: s.cache.Forget, Drop: s.cache.Drop, Logger: s.log,
	})
	return nil
}

// Migrate brings the database's tables up to date.
// Several processes may call it at once.
func (s *Store) Migrate(ctx context.Context) (applied int, err error) {
	release, err := s.database.ClaimMigration(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	return s.database.Migrate(ctx)
}

// Start begins the work in the background: hub, relay, sweeper, keeper, audit.
// It does not wait for the servers. It refuses where another process serves the
// same database and the two do not share a Redis.
func (s *Store) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	if err := s.claim(ctx); err != nil {
		return err
	}
	if err := s.hub.Start(ctx); err != nil {
		return fmt.Errorf("start hub: %w", err)
	}
	if err := s.relay.Start(ctx); err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	s.keep(ctx) // once before the first request, so that it finds a directory
	s.stopped.Go(func() { s.preload(ctx, preloadMax) })
	s.loop(ctx, "keeper", s.config.KeepInterval, s.doubt, s.keep)
	s.loop(ctx, "sweeper", s.config.SweepInterval, nil, s.sweep)
	s.loop(ctx, "forgetter", forgetInterval, nil, s.forget)
	s.loop(ctx, "auditor", s.config.AuditInterval, nil, s.newSampler().step)
	return nil
}

// loop runs work about every interval, and when woken, until ctx ends.
func (s *Store) loop(ctx context.Context, name string, interval time.Duration, wake <-chan struct{}, work func(context.Context)) {
	s.stopped.Go(func() {
		timer := time.NewTimer(backoff.Jitter(interval))
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				s.log.Debug("stopped", "loop", name)
				return
			case <-timer.C:
			case <-wake:
			}
			work(ctx)
			timer.Reset(backoff.Jitter(interval))
		}
	})
}

// Close stops relay, loops and hub, then closes clients and database. It may
// be called more than once.
func (s *Store) Close() {
	s.written.end()
	if s.relay != nil {
		s.relay.Stop()
	}
	if s.stop != nil {
		s.stop()
	}
	s.stopped.Wait()
	if s.hub != nil {
		s.hub.Stop()
	}
	var errs []error
	for _, c := range s.clients {
		errs = append(errs, c.Close())
	}
	s.clients = nil
	if s.embedded != nil {
		s.embedded.close()
	}
	if s.database != nil {
		s.releaseClaim()
		errs = append(errs, s.database.Close())
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Debug("closing", "error", err)
	}
}

// outbox is the database as the relay sees it.
type outbox struct{ *database.Database }

// Listen says "no notifications" in the relay's own words.
func (o outbox) Listen(ctx context.Context, wake func()) error {
	err := o.Database.Listen(ctx, wake)
	if errors.Is(err, database.ErrNoListen) {
		return stockfeed.ErrNoListen
	}
	return err
}
