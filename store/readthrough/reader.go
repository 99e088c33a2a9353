package readthrough

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"onhand/models"
	"onhand/models/poison"
	"onhand/store/database"
	"onhand/store/rediscache"
)

// Bounds of the read path.
const (
	// cacheInFlightMax: while one pipeline is parsed, the other one travels.
	cacheInFlightMax = 2
	// databaseInFlightMax: while the rows of one SELECT are parsed, the other one runs. A
	// burst of misses becomes few SELECTs.
	databaseInFlightMax = 2
	// fillsMax bounds the batches that are read or fill Redis. The next one waits.
	fillsMax          = 4
	batchIDsMax       = 1000
	batchesWaitingMax = 64
)

// StockCache is Redis as the read path uses it.
type StockCache interface {
	// Get reads products of an epoch.
	Get(ctx context.Context, epoch string, ids []string) ([]rediscache.Entry, error)
	// Lease permits one fill of these products. It is taken before the database is
	// read.
	Lease(ctx context.Context, ids []string) (rediscache.Lease, error)
	// Fill caches what the database had: stocks, and ids that it does not know.
	Fill(ctx context.Context, lease rediscache.Lease, epoch string, stocks []*models.Stock, unknown []string) error
}

// CachedReader reads stock through Redis. It is safe for concurrent use.
type CachedReader struct {
	database *Bisector
	cache    StockCache
	epochs   EpochComparer
	log      *slog.Logger

	cached  *batcher[rediscache.Entry]
	stored  *batcher[storedStock]
	unknown *unknownReads
	bypass  cacheBypass
	fills   chan struct{} // has one for each batch that fills Redis
}

// storedStock is the database's answer for one product. Both fields are nil for
// an unknown product.
type storedStock struct {
	stock *models.Stock
	err   error // the product's row cannot be read
}

// NewCachedReader makes a CachedReader. Without known, no id is read apart.
func NewCachedReader(database *Bisector, cache StockCache, epochs EpochComparer, known *KnownIDs, log *slog.Logger) *CachedReader {
	r := &CachedReader{database: database, cache: cache, epochs: epochs, log: log, fills: make(chan struct{}, fillsMax), unknown: newUnknownReads(known, database)}
	r.cached = &batcher[rediscache.Entry]{
		name: "read Redis", read: r.readCache, inFlightMax: cacheInFlightMax, direct: true, idsMax: batchIDsMax, waitingMax: batchesWaitingMax,
	}
	r.stored = &batcher[storedStock]{
		name: "read database", read: r.readDatabase, inFlightMax: databaseInFlightMax, idsMax: batchIDsMax, waitingMax: batchesWaitingMax,
	}
	return r
}

// Stocks reads products: values in the order of ids, nil for unknown products.
// Callers share the stocks and must not change them.
//
// Errors: UNAVAILABLE when Redis does not have a product and the database does
// not answer; a *poison.RowsError, beside the stocks that could be read,
// when rows of some products cannot be read.
func (r *CachedReader) Stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	return r.unknown.beside(ctx, ids, r.unknown.first(ids), r.throughRedis)
}

// throughRedis reads products from Redis, and what it does not have from the database.
func (r *CachedReader) throughRedis(ctx context.Context, ids []string) ([]*models.Stock, error) {
	since := r.stored.now()
	entries, err := r.cached.load(ctx, ids)
	if ctx.Err() != nil || errors.Is(err, errTooManyWaiting) {
		return nil, abandoned(ctx, err)
	}
	stocks := make([]*models.Stock, len(ids))
	var misses []string
	var at []int // of each miss in ids
	bypassed := r.bypass.among(ids, time.Now())
	for i, id := range ids {
		if err == nil && entries[i].Known && !bypassed[id] {
			stocks[i] = entries[i].Stock
			continue
		}
		misses, at = append(misses, id), append(at, i)
	}
	mayJoin := err == nil && len(bypassed) == 0
	found, err := r.unknown.beside(ctx, misses, r.unknown.beyond(misses), func(ctx context.Context, ids []string) ([]*models.Stock, error) {
		return r.readMisses(ctx, ids, mayJoin, since)
	})
	for i, stock := range found {
		stocks[at[i]] = stock
	}
	return stocks, err
}

// readMisses reads the products that Redis did not answer. Where Redis has every
// earlier write of this client (mayJoin), it joins a read that is in flight, or one
// that finished since the caller asked Redis. Where Redis missed a write, only a read
// that starts now is sure to see that write.
func (r *CachedReader) readMisses(ctx context.Context, ids []string, mayJoin bool, since finishCount) ([]*models.Stock, error) {
	var read []storedStock
	var err error
	if mayJoin {
		read, err = r.stored.join(ctx, ids, since)
	} else {
		read, err = r.stored.load(ctx, ids)
	}
	return stocksOf(ctx, ids, read, err)
}

// Fresh reads products from the database, by a read that starts now. Values and
// errors are those of Stocks.
func (r *CachedReader) Fresh(ctx context.Context, ids []string) ([]*models.Stock, error) {
	read, err := r.stored.load(ctx, ids)
	return stocksOf(ctx, ids, read, err)
}

// UnknownReads counts the ids that were read apart, since NewCachedReader.
func (r *CachedReader) UnknownReads() int64 { return r.unknown.count.Load() }

// Bypass has products read from the database for BypassDuration: Redis missed a
// committed change of theirs.
func (r *CachedReader) Bypass(ids []string) { r.bypass.add(ids, time.Now()) }

// BypassAll has all products read from the database for a while.
func (r *CachedReader) BypassAll(duration time.Duration) { r.bypass.addAll(time.Now(), duration) }

func stocksOf(ctx context.Context, ids []string, read []storedStock, err error) ([]*models.Stock, error) {
	if err != nil {
		return nil, abandoned(ctx, err)
	}
	stocks := make([]*models.Stock, len(ids))
	var unreadable map[string]error
	for i, answer := range read {
		stocks[i] = answer.stock
		if answer.err != nil {
			unreadable = withCause(unreadable, ids[i], answer.err)
		}
	}
	if unreadable != nil {
		err = &poison.RowsError{Causes: unreadable}
	}
	return stocks, err
}

// abandoned makes the end of the caller's own context UNAVAILABLE.
func abandoned(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return models.Unavailable("the request was given up", err)
	}
	return err
}

// readCache reads a batch with one pipeline of HGETALLs.
func (r *CachedReader) readCache(ctx context.Context, ids []string, answer func([]rediscache.Entry, error)) {
	epoch := r.epochs.Epoch()
	if epoch == "" { // no value in Redis can be matched with an epoch yet
		answer(make([]rediscache.Entry, len(ids)), nil)
		return
	}
	answer(r.cache.Get(ctx, epoch, ids))
}

// readDatabase reads a batch with one SELECT. After its callers have gone on, it
// fills Redis, ScriptsMax products a round trip, under a lease that is older than the SELECT.
// Until then callers that miss join it instead of reading again.
func (r *CachedReader) readDatabase(ctx context.Context, ids []string, answer func([]storedStock, error)) {
	lease, end := r.beginFill(ctx, ids)
	defer end()
	values, reading, err := readStored(ctx, r.database, ids)
	answer(values, err)
	if lease == "" || err != nil {
		return
	}
	var unknown []string
	for i, value := range values {
		if value == (storedStock{}) {
			unknown = append(unknown, ids[i])
		}
	}
	if err := r.cache.Fill(ctx, lease, reading.Epoch, reading.Stocks, unknown); err != nil {
		r.log.Debug("the cache was not filled", "products", len(ids), "error", err)
	}
}

// readStored reads products from the database, in the order of ids.
func readStored(ctx context.Context, source *Bisector, ids []string) ([]storedStock, database.Reading, error) {
	reading, unreadable, err := source.Read(ctx, ids)
	if err != nil {
		return nil, reading, err
	}
	byID := make(map[string]*models.Stock, len(reading.Stocks))
	for _, stock := range reading.Stocks {
		byID[stock.ProductID] = stock
	}
	values := make([]storedStock, len(ids))
	for i, id := range ids {
		values[i] = storedStock{byID[id], unreadable[id]}
	}
	return values, reading, nil
}

// beginFill waits until there is room for a fill, and takes a lease for ids. Without a
// lease nothing is filled. end makes room for another one.
func (r *CachedReader) beginFill(ctx context.Context, ids []string) (lease rediscache.Lease, end func()) {
	r.fills <- struct{}{}
	lease, err := r.cache.Lease(ctx, ids)
	if err != nil {
		r.log.Debug("no lease: the read will not fill the cache", "products", len(ids), "error", err)
	}
	return lease, func() { <-r.fills }
}
