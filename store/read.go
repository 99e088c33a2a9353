package store

import (
	"context"
	"errors"
	"time"

	"onhand/models"
	"onhand/store/rediscache"
)

// Bounds of the read path.
const (
	// cacheFlights: with two, one pipeline is parsed while the other travels.
	cacheFlights = 2
	// databaseFlights: one, so that no product is ever read twice at once, and
	// a burst of misses becomes few SELECTs.
	databaseFlights = 1
	readBatchMax    = 1000
	readWaitingMax  = 64
)

func (s *Store) makeBatchers() {
	s.cached = &batcher[rediscache.Entry]{fly: s.flyCache, flightsMax: cacheFlights, batchMax: readBatchMax, waitingMax: readWaitingMax}
	s.stored = &batcher[readStock]{fly: s.flyDatabase, flightsMax: databaseFlights, batchMax: readBatchMax, waitingMax: readWaitingMax}
}

// Stocks reads products, from Redis where it can and from the database where
// it must: values in the order asked, nil for unknown products. The stocks are
// shared; do not change them.
//
// Errors: UNAVAILABLE when Redis does not know and the database does not
// answer; a *models.PoisonRowsError, beside the stocks that could be read,
// when rows of some products are broken.
func (s *Store) Stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	looked := s.stored.now()
	entries, err := s.cached.load(ctx, ids)
	if ctx.Err() != nil || errors.Is(err, errCrowded) {
		return nil, s.gone(ctx, err)
	}
	stocks := make([]*models.Stock, len(ids))
	var missing []string
	var at []int
	join := err == nil
	distrusted := s.distrust.among(ids, time.Now())
	for i, id := range ids {
		join = join && !distrusted[id]
		if err == nil && entries[i].Known && !distrusted[id] {
			stocks[i] = entries[i].Stock
			continue
		}
		missing, at = append(missing, ids[i]), append(at, i)
	}
	// A product that Redis could have told of a newer write of the same client
	// may be read together with others, also with those whose fill came to Redis
	// just after we had looked; where Redis was not told, only a read that starts
	// now is sure to see it.
	var read []readStock
	if join {
		read, err = s.stored.join(ctx, missing, looked)
	} else {
		read, err = s.stored.load(ctx, missing)
	}
	found, err := s.stocksIn(ctx, missing, read, err)
	for i, stock := range found {
		stocks[at[i]] = stock
	}
	return stocks, err
}

// load reads from the database, by a read that starts now.
func (s *Store) load(ctx context.Context, ids []string) ([]*models.Stock, error) {
	read, err := s.stored.load(ctx, ids)
	return s.stocksIn(ctx, ids, read, err)
}

// stocksIn are what a read of the database has found.
func (s *Store) stocksIn(ctx context.Context, ids []string, found []readStock, err error) ([]*models.Stock, error) {
	if err != nil {
		return nil, s.gone(ctx, err)
	}
	stocks := make([]*models.Stock, len(ids))
	var broken map[string]error
	for i, f := range found {
		stocks[i] = f.stock
		if f.err != nil {
			broken = withCause(broken, ids[i], f.err)
		}
	}
	if broken != nil {
		err = &models.PoisonRowsError{Causes: broken}
	}
	return stocks, err
}

// FreshStock reads one product from the database, whatever Redis says; nil
// when it is unknown.
func (s *Store) FreshStock(ctx context.Context, id string) (*models.Stock, error) {
	found, err := s.load(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// gone makes a caller's own end UNAVAILABLE rather than our fault.
func (s *Store) gone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return models.Unavailable("the request was given up", err)
	}
	return err
}

// flyCache is one pipeline of HGETALLs.
func (s *Store) flyCache(ctx context.Context, ids []string, land func([]rediscache.Entry, error)) {
	epoch := s.believed()
	if epoch == "" { // no history known yet: nothing in Redis can be believed
		land(make([]rediscache.Entry, len(ids)), nil)
		return
	}
	land(s.cache.Get(ctx, epoch, ids))
}

// flyDatabase is one SELECT, and after its callers have gone on, one pipeline
// that fills Redis, under a lease that is older than the SELECT. Until that is
// done the flight is not over: who misses in between joins it instead of
// reading again.
func (s *Store) flyDatabase(ctx context.Context, ids []string, land func([]readStock, error)) {
	lease, err := s.cache.Lease(ctx, ids)
	if err != nil {
		s.log.Debug("the cache will not be filled", "products", len(ids), "error", err)
	}
	read, broken, err := s.readApart(ctx, ids)
	if err != nil {
		land(nil, err)
		return
	}
	byID := make(map[string]*models.Stock, len(read.Stocks))
	for _, stock := range read.Stocks {
		byID[stock.ProductID] = stock
	}
	values := make([]readStock, len(ids))
	var unknown []string
	for i, id := range ids {
		values[i] = readStock{byID[id], broken[id]}
		if values[i] == (readStock{}) {
			unknown = append(unknown, id)
		}
	}
	land(values, nil)
	if s.beforeFill != nil {
		s.beforeFill(ids)
	}
	if err := s.cache.Fill(ctx, lease, read.Epoch, read.Stocks, unknown); err != nil {
		s.log.Debug("the cache was not filled", "products", len(ids), "error", err)
	}
}

// Products reads a page of products from the database.
func (s *Store) Products(ctx context.Context, page models.Page, filter models.ProductFilter) (models.ProductPage, error) {
	return s.database.ReadProducts(ctx, page, filter)
}

// Reservations reads reservations with one SELECT, as of the database's clock:
// values in the order asked, nil for unknown ones.
func (s *Store) Reservations(ctx context.Context, ids []string) ([]*models.Reservation, error) {
	found, err := s.database.ReadReservations(ctx, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*models.Reservation, len(found))
	for _, reservation := range found {
		byID[reservation.ID] = reservation
	}
	reservations := make([]*models.Reservation, len(ids))
	for i, id := range ids {
		reservations[i] = byID[id]
	}
	return reservations, nil
}

// Directory is all locations and channels, as of about a second ago.
func (s *Store) Directory() *models.Directory { return s.directory.Load() }
