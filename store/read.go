package store

import (
	"context"
	"slices"
	"time"

	"onhand/models"
	"onhand/models/history"
	"onhand/models/paging"
	"onhand/store/readreplica"
	"onhand/tracing"
)

// Stocks reads products, from the near cache or Redis where it can and from the
// database where it must: values in the order of ids, nil for unknown products. Callers
// share the stocks and must not change them.
//
// Errors: UNAVAILABLE when Redis does not have a product and the database does
// not answer; a *poison.RowsError, beside the stocks that could be read,
// when rows of some products cannot be read.
func (s *Store) Stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	ctx, span := tracing.Start(ctx, "read stocks")
	defer span.End()
	span.Int("onhand.products", len(ids))
	found, err := s.near.Stocks(ctx, ids)
	return s.placed(found), err
}

// SharedStock reads one product past the near cache: from Redis, or else from the
// database; nil when it is unknown. Errors are those of Stocks.
func (s *Store) SharedStock(ctx context.Context, id string) (*models.Stock, error) {
	found, err := s.near.Shared(ctx, id)
	return s.directory.Directory().Placed(found, ""), err
}

// placed returns stocks as the shop sells them; see [models.Directory.Placed]. It leaves
// the list as it is.
func (s *Store) placed(stocks []*models.Stock) []*models.Stock {
	directory, own := s.directory.Directory(), false
	for i, stock := range stocks {
		placed := directory.Placed(stock, "")
		if placed == stock {
			continue
		}
		if !own {
			stocks, own = slices.Clone(stocks), true
		}
		stocks[i] = placed
	}
	return stocks
}

// FreshStock reads one product from the database, past the caches; nil when it is
// unknown. A later read of this instance finds no older one in the near cache.
func (s *Store) FreshStock(ctx context.Context, id string) (*models.Stock, error) {
	found, err := s.reader.Fresh(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	s.near.Deliver(found)
	return s.placed(found)[0], nil
}

// StockAsOf reads a product as it was at a moment, from the ledger; nil when it is
// unknown.
//
// Errors: bad input for a moment in the future.
func (s *Store) StockAsOf(ctx context.Context, id string, at time.Time) (*models.Stock, error) {
	stock, err := readreplica.Read(ctx, s.replicaReads, func(ctx context.Context, from readreplica.ReplicaReads) (*models.Stock, error) {
		return from.ReadStockAsOf(ctx, id, at)
	})
	return s.directory.Directory().Placed(stock, ""), err
}

// Histories reads how the levels of products changed, from the ledger: values in the order
// of the request's ids, nil for unknown products.
//
// Errors: bad input for a request out of bounds.
func (s *Store) Histories(ctx context.Context, request history.HistoryRequest) ([]*history.StockHistory, error) {
	asked := request.ProductIDs
	if err := request.Check(); err != nil {
		return nil, err
	}
	request.ProductIDs = slices.Clone(asked)
	slices.Sort(request.ProductIDs)
	request.ProductIDs = slices.Compact(request.ProductIDs)
	found, err := readreplica.Read(ctx, s.replicaReads, func(ctx context.Context, from readreplica.ReplicaReads) ([]*history.StockHistory, error) {
		return from.ReadHistories(ctx, request)
	})
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*history.StockHistory, len(found))
	for _, h := range found {
		byID[h.ProductID] = h
	}
	histories := make([]*history.StockHistory, len(asked))
	for i, id := range asked {
		histories[i] = byID[id]
	}
	return histories, nil
}

// Products reads a page of products: from their stocks where the filter names the
// products, else from the database. A filter's status is that over its location, else over
// its channel, else over all locations. Callers share the page and must not change it.
//
// Errors: bad input for an unknown channel or location.
func (s *Store) Products(ctx context.Context, page paging.Request, filter paging.ProductQuery) (paging.ProductPage, error) {
	filter, err := s.seen(filter)
	if err != nil {
		return paging.ProductPage{}, err
	}
	if filter.Order == paging.ByQuantity {
		return s.rankings.Page(ctx, page, filter)
	}
	if filter.Named() {
		if found, ok := s.namedProducts(ctx, page, filter); ok {
			return found, nil
		}
	}
	return s.pages.Load(ctx, filter.Key(page), func(ctx context.Context) (paging.ProductPage, error) {
		now, err := s.seen(filter) // callers that have joined may know newer settings of the channel
		if err != nil {
			return paging.ProductPage{}, err
		}
		return readreplica.Read(ctx, s.replicaReads, func(ctx context.Context, from readreplica.ReplicaReads) (paging.ProductPage, error) {
			return from.ReadProducts(ctx, page, now)
		})
	})
}

// seen completes a filter with the settings that its channel has now.
//
// Errors: bad input for an unknown channel or location.
func (s *Store) seen(filter paging.ProductQuery) (paging.ProductQuery, error) {
	filter.View = func(stock *models.Stock) *models.Stock { return s.directory.Directory().Placed(stock, "") }
	if filter.Channel != "" {
		members, ok := s.directory.Directory().Channel(filter.Channel)
		if !ok {
			return filter, models.BadInput("no channel %q", filter.Channel)
		}
		filter.View = func(stock *models.Stock) *models.Stock { return stock.In(members) }
		filter.Buffer, filter.Members = members.Buffer, members.Members
	}
	if filter.LocationID != "" {
		if _, ok := s.directory.Directory().Location(filter.LocationID); !ok {
			return filter, models.BadInput("no location %q", filter.LocationID)
		}
		only := &models.ChannelMembers{Members: map[string]bool{filter.LocationID: true}}
		filter.View = func(stock *models.Stock) *models.Stock { return stock.In(only) }
	}
	return filter, nil
}

// namedProducts makes the page of a filter that names its products from their stocks. ok is
// false where only the database can answer, or say why not.
func (s *Store) namedProducts(ctx context.Context, page paging.Request, filter paging.ProductQuery) (found paging.ProductPage, ok bool) {
	ids := slices.Clone(filter.IDs)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	named := len(ids)
	cursor := func(id string) int {
		if filter.Order != paging.ByTitle || models.CheckID(id) != "" {
			return -1
		}
		ids = append(ids, id)
		return len(ids) - 1
	}
	after, before := cursor(page.After), cursor(page.Before)
	stocks, err := s.Stocks(ctx, ids)
	if err != nil {
		return found, false
	}
	at := func(i int) *models.Stock {
		if i < 0 {
			return nil
		}
		return stocks[i]
	}
	return filter.Page(page, stocks[:named], at(after), at(before))
}

// ListReservations reads a page of reservations from the database, newest first.
//
// Errors: bad input for a page that cannot be found.
func (s *Store) ListReservations(ctx context.Context, page paging.ReservationRequest, filter paging.ReservationQuery) (paging.ReservationPage, error) {
	return s.database.ListReservations(ctx, page, filter)
}

// Reservations reads reservations with one SELECT, as of the database's clock:
// values in the order of ids, nil for unknown ones.
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

// Now reads the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) { return s.database.ReadClock(ctx) }

// Movements reads a page of the ledger, newest first.
func (s *Store) Movements(ctx context.Context, page paging.MovementRequest, filter models.MovementFilter) (paging.MovementPage, error) {
	return readreplica.Read(ctx, s.replicaReads, func(ctx context.Context, from readreplica.ReplicaReads) (paging.MovementPage, error) {
		return from.ReadMovements(ctx, page, filter)
	})
}

// Movement reads one movement of the ledger; nil when there is none.
func (s *Store) Movement(ctx context.Context, movementID int64, productID string) (*models.StockMovement, error) {
	return readreplica.Read(ctx, s.replicaReads, func(ctx context.Context, from readreplica.ReplicaReads) (*models.StockMovement, error) {
		return from.ReadMovement(ctx, movementID, productID)
	})
}

// Directory returns all locations and channels, about a second old at most.
func (s *Store) Directory() *models.Directory { return s.directory.Directory() }

// FreshDirectory reads all locations and channels from the database. Where that does
// not answer, it returns those of before.
func (s *Store) FreshDirectory(ctx context.Context) *models.Directory { return s.directory.Fresh(ctx) }
