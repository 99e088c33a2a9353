package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/audit"
	"onhand/store/channelfeed"
	"onhand/store/database"
	"onhand/store/groupcommit"
	"onhand/store/ledgerfeed"
	"onhand/store/nearcache"
	"onhand/store/openingstock"
	"onhand/store/outage"
	"onhand/store/ranking"
	"onhand/store/readreplica"
	"onhand/store/readthrough"
	"onhand/store/rediscache"
	"onhand/store/stockfeed"
	"onhand/store/upkeep"
)

// Store is the stock: one for a process. It is safe for concurrent use.
type Store struct {
	config  Config
	log     *slog.Logger
	metrics *metrics

	database     *database.Database
	replicas     []*database.ReadReplica
	replicaReads *readreplica.ReplicaReader
	outage       *outage.Log    // of the database
	embedded     *embeddedRedis // nil with a real Redis
	clients      []redis.UniversalClient
	cache        *rediscache.Cache

	epoch     *upkeep.CurrentEpoch
	directory *upkeep.DirectoryCache
	known     *readthrough.KnownIDs
	reader    *readthrough.CachedReader
	near      *nearcache.NearCache
	pages     readthrough.SharedReads[paging.ProductPage]
	rankings  *ranking.Rankings
	hub       *stockfeed.Hub
	views     *channelfeed.Views
	relay     *stockfeed.Relay
	followers *ledgerfeed.Followers
	publisher *publisher
	writes    *groupcommit.Committer
	opening   *openingstock.Loader

	epochCheck *upkeep.EpochCheck
	sweeper    *upkeep.Sweeper
	claim      *upkeep.ServingClaim
	operations operationsState
	audited    audit.Subjects
	sampler    *audit.Sampler

	stop    context.CancelFunc // of what Start started; nil before
	running sync.WaitGroup
}

// Open makes the store. Neither database nor Redis need to be up yet; only a
// configuration that can never work is an error.
func Open(config Config) (*Store, error) {
	config.setDefaults()
	s := &Store{config: config, log: config.Logger, metrics: newMetrics(), operations: operationsState{began: time.Now()}}
	if err := s.openServers(); err != nil {
		s.Close()
		return nil, err
	}
	s.wireReads()
	s.wireWrites()
	s.wireUpkeep()
	return s, nil
}

// openServers opens the database and the clients of Redis.
func (s *Store) openServers() (err error) {
	if s.database, err = database.Open(s.config.DatabaseURL, s.log, s.config.Database); err != nil {
		return err
	}
	s.database.SetHolderLimits(s.config.HolderLimits)
	if s.config.ListenURL != "" {
		if err := s.database.ListenAt(s.config.ListenURL); err != nil {
			return err
		}
	}
	if err := s.openReplicas(); err != nil {
		return err
	}
	s.outage = outage.New("database", s.log, s.database.Unreachable)
	url, timeout := s.config.RedisURL, s.config.RedisTimeout
	if url == "" {
		if s.embedded, err = startEmbeddedRedis(); err != nil {
			return fmt.Errorf("embedded redis: %w", err)
		}
		url, timeout = s.embedded.url(), orDefault(timeout, embeddedTimeout)
	}
	reader, writer, err := rediscache.NewClients(url, timeout)
	if err != nil {
		return err
	}
	s.clients = []redis.UniversalClient{reader, writer}
	s.cache = rediscache.New(rediscache.CacheConfig{
		Reader: reader, Writer: writer, TTL: s.config.HashTTL, Timeout: timeout, Logger: s.log, KeyPrefix: s.config.KeyPrefix,
		OnRecovered: s.redisRecovered, OnReplaced: s.redisReplaced, OnAhead: s.seenAhead,
	})
	return nil
}

// openReplicas opens the read replicas, if there are any.
func (s *Store) openReplicas() (err error) {
	config := readreplica.ReaderConfig{Primary: s.database, LagMax: s.config.ReplicaLagMax, Timeout: s.config.ReplicaTimeout, Logger: s.log}
	if s.config.ReplicaURL != "" {
		if s.config.ReplicaConnections <= 0 || s.config.ReplicaLagMax <= 0 || s.config.ReplicaTimeout <= 0 {
			return errors.New("read replicas need bounds: connections, lag and timeout")
		}
		if s.replicas, err = s.database.OpenReplicas(s.config.ReplicaURL, s.config.ReplicaConnections); err != nil {
			return err
		}
	}
	for _, replica := range s.replicas {
		config.Replicas = append(config.Replicas, replica)
	}
	s.replicaReads = readreplica.New(config)
	return nil
}

// wireReads makes what reads, watches and follows stock.
func (s *Store) wireReads() {
	s.epoch = upkeep.NewCurrentEpoch()
	s.directory = upkeep.NewDirectoryCache(s.database, s.log)
	s.views = channelfeed.NewViews(s.directory)
	s.directory.OnChange = s.views.Changed
	bisector := readthrough.NewBisector(s.database, s.epoch)
	s.known = readthrough.NewKnownIDs(s.database, s.log)
	s.reader = readthrough.NewCachedReader(bisector, s.cache, s.epoch, s.known, s.log)
	s.near = nearcache.NewNearCache(nearcache.NearCacheConfig{
		Bytes: s.config.NearCacheBytes, Shared: s.reader, Epochs: s.epoch,
		Client: s.clients[0], StockChannel: s.cache.Keys().StockChannel, Logger: s.log,
		OnChange: s.known.Add,
	})
	s.hub = stockfeed.NewHub(stockfeed.HubConfig{
		Client: s.clients[0], Channels: s.cache.Keys(), Epochs: s.epoch, Stocks: s.reader, Reservations: s.database, Logger: s.log,
		Ahead:       s.seenAhead,
		OnStocks:    s.delivered,
		OnDirectory: s.epoch.CheckNow, // which reloads locations and channels
	})
	s.rankings = ranking.New(rankSource{s.replicaReads}, s)
	s.relay = stockfeed.NewRelay(stockfeed.RelayConfig{
		Outbox: relayOutbox{s.database}, Cache: s.cache, Stocks: bisector, Epochs: s.epoch, Hub: s.hub, Logger: s.log,
	})
	s.followers = ledgerfeed.NewFollowers(s.database, s.directory)
}

// wireWrites makes what decides writes and publishes their outcomes.
func (s *Store) wireWrites() {
	s.publisher = &publisher{cache: s.cache, hub: s.hub, followers: s.followers, near: s.near, log: s.log, remote: s.embedded == nil}
	s.publisher.muted.Store(s.embedded != nil)
	s.writes = groupcommit.New(committerDatabase{s.database}, batchPublisher{s.publisher, s.metrics}, s.config.GroupCommit)
	s.opening = &openingstock.Loader{Database: s.database, Writer: s}
}

// wireUpkeep makes what works periodically.
func (s *Store) wireUpkeep() {
	s.epochCheck = &upkeep.EpochCheck{
		Epoch: s.epoch, Database: s.database, Cache: s.cache, Directory: s.directory, Reader: s.near, Subscribers: s.hub,
		Interval: s.config.EpochCheckInterval, Outage: s.outage, Logger: s.log,
	}
	s.sweeper = &upkeep.Sweeper{Database: s.database, Publisher: s.publisher, Logger: s.log}
	s.claim = &upkeep.ServingClaim{
		Database: s.database, Exclusive: s.embedded != nil, Mandatory: strings.HasPrefix(s.config.DatabaseURL, "sqlite:"), Logger: s.log,
	}
	s.audited = audit.Subjects{
		Levels: s.database, Products: readthrough.NewBisector(auditSource{s.database}, s.epoch), Redis: s.cache,
		Versions: s.database, Subscribers: s.hub,
	}
	s.sampler = audit.NewSampler(s.audited, auditSettle, s.log)
}

// redisRecovered is called when Redis answers again. It may be another server, or have
// lost its last writes, and it missed the changes of the meantime: epoch check and
// relay run at once.
func (s *Store) redisRecovered() {
	s.epoch.CheckNow()
	s.relay.RetryNow()
}

// redisReplaced is called before the first read of another master. Until the epoch check
// has looked at it, the database answers.
func (s *Store) redisReplaced() {
	s.epochCheck.BypassReplaced()
	s.redisRecovered()
}

// seenAhead is called for a version that seems to be ahead of the database. Nothing
// calls it before Open is done.
func (s *Store) seenAhead(productID, epoch string, version int64) {
	s.sampler.Repairer().Ahead(productID, epoch, version)
}

// delivered is called with stocks of products that a client is about to get.
func (s *Store) delivered(stocks []*models.Stock) {
	for _, stock := range stocks {
		if stock != nil {
			s.known.Add(stock.ProductID)
		}
	}
	s.near.Deliver(stocks)
}

// Close stops the relay, the periodic work and the hub, and then closes clients
// and database. It may be called more than once.
func (s *Store) Close() {
	if s.followers != nil {
		s.followers.Stop()
	}
	if s.relay != nil {
		s.relay.Stop()
	}
	if s.stop != nil {
		s.stop()
	}
	s.running.Wait()
	if s.near != nil {
		s.near.Stop()
	}
	if s.hub != nil {
		s.hub.Stop()
	}
	if s.cache != nil {
		s.cache.Stop()
	}
	if s.outage != nil {
		s.outage.Stop()
	}
	if s.publisher != nil {
		s.publisher.wakes.Wait()
	}
	var errs []error
	for _, c := range s.clients {
		errs = append(errs, c.Close())
	}
	s.clients = nil
	if s.embedded != nil {
		s.embedded.close()
	}
	if s.claim != nil {
		s.claim.Release()
	}
	for _, replica := range s.replicas {
		errs = append(errs, replica.Close())
	}
	if s.database != nil {
		errs = append(errs, s.database.Close())
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Debug("closing", "error", err)
	}
}

// Health is the state of the servers that the store uses.
type Health struct {
	// Database is nil when it answers.
	Database error
	// Redis is nil when it answers. Without it the store is degraded, not down.
	Redis error
	// Polling reports that the database does not notify this instance of changes by outside
	// writers, although its engine can: the relay finds them when it polls.
	Polling bool
	// HasReplica reports whether there is a read replica. Replica is nil while one answers; else
	// the primary answers in their place.
	HasReplica bool
	Replica    error
}

// Health asks both servers now.
func (s *Store) Health(ctx context.Context) Health {
	_, redisErr := s.cache.Watermark(ctx)
	return Health{Database: s.database.Ping(ctx), Redis: redisErr, Polling: s.relay.Stats().Polling, HasReplica: len(s.replicas) > 0, Replica: s.replicaReads.State()}
}
