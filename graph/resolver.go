package graph

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"time"

	"onhand/graph/compiled"
	"onhand/graph/federation"
	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/loaders"
	"onhand/graph/viewer"
	"onhand/models"
	"onhand/models/history"
	"onhand/models/ids"
	"onhand/models/operations"
	"onhand/models/paging"
)

// Store is what the API needs from the store. Its faults are models.Fault.
type Store interface {
	// Stocks returns stocks in the order of ids, nil for unknown products.
	Stocks(ctx context.Context, ids []string) ([]*models.Stock, error)
	// SharedStock reads one product past the near cache; nil when unknown.
	SharedStock(ctx context.Context, id string) (*models.Stock, error)
	// FreshStock reads the database, not the caches; nil when unknown.
	FreshStock(ctx context.Context, id string) (*models.Stock, error)
	// StockAsOf reads a past stock from the ledger; nil when unknown.
	StockAsOf(ctx context.Context, id string, at time.Time) (*models.Stock, error)
	// Histories returns histories in the order of the request's ids, nil for unknown products.
	Histories(ctx context.Context, request history.HistoryRequest) ([]*history.StockHistory, error)
	Products(ctx context.Context, page paging.Request, filter paging.ProductQuery) (paging.ProductPage, error)
	// ListReservations returns a page of reservations, newest first.
	ListReservations(ctx context.Context, page paging.ReservationRequest, filter paging.ReservationQuery) (paging.ReservationPage, error)
	// Reservations returns reservations in the order of ids, nil for unknown ones.
	Reservations(ctx context.Context, ids []string) ([]*models.Reservation, error)
	// Operations returns what this instance and its servers do now.
	Operations(ctx context.Context) (*operations.OperationsSnapshot, error)
	// IsDemo reports whether the database has the demo shop.
	IsDemo() bool
	// Movements returns a page of the ledger.
	Movements(ctx context.Context, page paging.MovementRequest, filter models.MovementFilter) (paging.MovementPage, error)
	// Movement returns one movement; nil when unknown.
	Movement(ctx context.Context, movementID int64, productID string) (*models.StockMovement, error)
	// Now is the database's clock.
	Now(ctx context.Context) (time.Time, error)
	Directory() *models.Directory
	// FreshDirectory reads the directory from the database, not the cache.
	FreshDirectory(ctx context.Context) *models.Directory
	Write(ctx context.Context, write models.Write) (models.WriteResult, error)
	WatchStock(ctx context.Context, ids []string) (models.Watch[*models.Stock], error)
	// PushStock is WatchStock or, with a channel, WatchView, for a caller that is
	// notified in place of waiting; see live.Stocks.
	PushStock(ctx context.Context, ids []string, channel string, notify func(now bool)) (models.Watch[*models.Stock], error)
	// WatchView watches products as a channel sees them.
	WatchView(ctx context.Context, ids []string, channel string) (models.Watch[*models.Stock], error)
	// WatchStatus returns each change of a product's status.
	WatchStatus(ctx context.Context, channel string, statuses []models.StockStatus, products []string) (models.Watch[*models.StockStatusChange], error)
	// WatchMovements follows the ledger after a cursor; an empty cursor means from now on.
	WatchMovements(ctx context.Context, after string, filter models.MovementFilter) (models.Watch[*models.StockMovement], error)
	WatchReservation(ctx context.Context, id string) (models.Watch[*models.Reservation], error)
}

// Resolver is the root of all resolvers. This file has what they share.
type Resolver struct {
	Store Store
	Log   *slog.Logger
	// QuantityCap bounds what callers without read:inventory see.
	QuantityCap viewer.QuantityCap
	// Federation says what a gateway gets of the schema.
	Federation federation.Mode
	// Process says what the store does not know of its process; nil for nothing.
	Process func() ProcessState
}

// ProcessState is what Operations says of the process beside the store.
type ProcessState struct {
	Version           string
	Sockets           int
	SimulatedShoppers int
}

func (r *Resolver) process() (state ProcessState) {
	if r.Process != nil {
		state = r.Process()
	}
	return state
}

// compiledReads are the reads of compiled operations: those of the resolvers.
type compiledReads struct{ *queryResolver }

var _ compiled.Reads = compiledReads{}

// Directory implements compiled.Reads.
func (r compiledReads) Directory() *models.Directory { return r.Store.Directory() }

// QuantityCap implements compiled.Reads.
func (r compiledReads) QuantityCap(ctx context.Context) viewer.QuantityCap {
	return r.Resolver.QuantityCap.For(ctx)
}

// Entities implements compiled.Reads.
func (r compiledReads) Entities(ctx context.Context, keys []federation.Key) (found []generated.Entity, errs []error, err error) {
	return r.entities(ctx, keys)
}

// ProductPage implements compiled.Reads.
func (r compiledReads) ProductPage(ctx context.Context, first *int, after *string, last *int, before *string, filter *generated.ProductFilter, orderBy paging.ProductOrder) (paging.ProductPage, error) {
	return r.productPage(ctx, first, after, last, before, filter, orderBy)
}

// StockOf implements compiled.Reads.
func (r compiledReads) StockOf(ctx context.Context, productID string, channel *string) (*models.Stock, error) {
	return r.stockIn(ctx, productID, channel)
}

// keyTerms are the terms of a mutation's idempotency key.
func keyTerms(ctx context.Context, notAfter *time.Time) models.KeyTerms {
	return models.KeyTerms{Caller: guard.Caller(ctx), NotAfter: notAfter}
}

// stream sends the values of a watch to a subscription until one of them ends. The
// channel has no buffer: values for a slow client stay in the watch, which keeps
// only the newest stock of each product.
func stream[T any](ctx context.Context, log *slog.Logger, watch models.Watch[T], convert func(T) T) <-chan T {
	out := make(chan T)
	go func() {
		defer close(out)
		defer watch.Close()
		for {
			value, err := watch.Next(ctx)
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, io.EOF) {
					log.Debug("a subscription ended", "error", err)
				}
				return
			}
			select {
			case out <- convert(value):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func unchanged[T any](value T) T { return value }

// nodeFields are the fields whose rules of access are those of the objects that a global id
// names.
var nodeFields = map[ids.ObjectKind]string{
	ids.Product: "Query.product", ids.Stock: "Query.stock", ids.Level: "Stock.levels", ids.Location: "Query.location", ids.Channel: "Query.channels",
	ids.Movement: "Query.stockMovements", ids.Reservation: "Query.reservation", ids.Line: "Query.reservation", ids.Allocation: "Query.reservation",
}

// node finds an object by its global id; nil when there is none. A caller who may not read
// it does not learn whether it exists.
func (r *Resolver) node(ctx context.Context, id string) (generated.Node, error) {
	n, ok := ids.Parse(id)
	if !ok {
		return nil, nil
	}
	if err := accessRules().Check(ctx, nodeFields[n.Kind]); err != nil {
		return nil, err
	}
	return r.object(ctx, n)
}

// object finds what a global id names, for a caller who may read it.
func (r *Resolver) object(ctx context.Context, n ids.Object) (generated.Node, error) {
	switch n.Kind {
	case ids.Location:
		if location, ok := r.Store.Directory().Location(n.LocationID); ok {
			return location, nil
		}
		return nil, nil
	case ids.Channel:
		if found := r.Store.Directory().ChannelsOf([]string{n.ChannelID}); len(found) > 0 {
			return found[0], nil
		}
		return nil, nil
	case ids.Movement:
		return asNode(r.movement(ctx, n))
	case ids.Reservation:
		return asNode(reservation(ctx, n.ReservationID))
	case ids.Line, ids.Allocation:
		return reservationPart(ctx, n)
	case ids.Stock:
		return asNode(r.stockNode(ctx, n))
	case ids.Level:
		stock, err := r.stockNode(ctx, n)
		if err != nil || stock == nil {
			return nil, err
		}
		return asNode(firstOf(stock.LevelViews(), func(l models.LevelView) bool { return l.LocationID == n.LocationID }), nil)
	}
	if models.CheckProductID(n.ProductID) != "" { // no product has such an id
		return nil, nil
	}
	stock, err := stockOf(ctx, n.ProductID)
	if err != nil || stock == nil {
		return nil, err
	}
	return &stock.Product, nil
}

// entities finds the objects that keys name, in their order, nil for unknown ones. It
// loads their stock together. errs has the errors of single ones; nil for none.
//
// Errors: loaders.ErrCollecting.
func (r *Resolver) entities(ctx context.Context, keys []federation.Key) (found []generated.Entity, errs []error, err error) {
	loader, products := loaders.Of(ctx), make([]string, 0, len(keys))
	for i := range keys {
		if keys[i].Live() {
			products = append(products, keys[i].Object.ProductID)
		}
	}
	stocks, failed := loader.Stocks(ctx, products)
	if errors.Is(failed, loaders.ErrCollecting) {
		return nil, nil, failed
	}
	allowed := entityRules{}
	found = make([]generated.Entity, len(keys))
	for i, next := 0, 0; i < len(keys); i++ {
		key, stock, err := &keys[i], (*models.Stock)(nil), keys[i].Err
		if key.Live() {
			if failed == nil {
				stock = stocks[next]
			} else {
				stock, err = loader.Stock(ctx, key.Object.ProductID)
			}
			next++
		}
		if err == nil && !key.None {
			err = allowed.check(ctx, key.Object.Kind)
		}
		if err == nil && !key.None {
			found[i], err = r.entity(ctx, key, stock)
		}
		if err != nil {
			if errs == nil {
				errs = make([]error, len(keys))
			}
			errs[i] = err
		}
	}
	return found, errs, nil
}

// entity returns what a key names; stock is that of its product, where the key is live.
func (r *Resolver) entity(ctx context.Context, key *federation.Key, stock *models.Stock) (generated.Entity, error) {
	switch {
	case !key.Live():
		node, err := r.object(ctx, key.Object)
		found, _ := node.(generated.Entity)
		return found, err
	case stock == nil:
		return nil, nil
	case key.Object.Kind == ids.Product:
		return &stock.Product, nil
	case key.Object.ChannelID == "":
		return stock, nil
	}
	members, known := r.Store.Directory().Channel(key.Object.ChannelID)
	if !known {
		return nil, nil
	}
	return r.narrowed(stock, members, nil), nil
}

// entityRules has what the rule of each kind of object says about the caller, once it was
// checked.
type entityRules [ids.Location + 1]struct {
	checked bool
	err     error
}

func (e *entityRules) check(ctx context.Context, kind ids.ObjectKind) error {
	rule := &e[kind]
	if !rule.checked {
		rule.checked, rule.err = true, accessRules().Check(ctx, nodeFields[kind])
	}
	return rule.err
}

// Entities implements generated.FederationResolver.
//
// Errors: bad input for too many representations.
func (r *Resolver) Entities(ctx context.Context, representations []any) (found []generated.Entity, errs []error, err error) {
	keys, err := federation.Keys(representations)
	if err != nil {
		return nil, nil, err
	}
	return r.entities(ctx, keys)
}

// Subgraph implements generated.FederationResolver.
func (r *Resolver) Subgraph() string { return SubgraphSDL(r.Federation) }

// stockNode reads the stock that an id names: over a channel's locations where it names
// one, and at a moment in the past where it names that.
func (r *Resolver) stockNode(ctx context.Context, n ids.Object) (*models.Stock, error) {
	var channel *string
	if n.ChannelID != "" {
		if _, known := r.Store.Directory().Channel(n.ChannelID); !known {
			return nil, nil
		}
		channel = &n.ChannelID
	}
	return r.stock(ctx, n.ProductID, channel, nil, n.Moment)
}

// reservationPart finds a line, or an allocation of a line.
func reservationPart(ctx context.Context, n ids.Object) (generated.Node, error) {
	found, err := reservation(ctx, n.ReservationID)
	if err != nil || found == nil {
		return nil, err
	}
	line := firstOf(found.LineViews(), func(l models.LineView) bool { return l.ProductID == n.ProductID })
	if line == nil || n.Kind == ids.Line {
		return asNode(line, nil)
	}
	return asNode(firstOf(line.AllocationViews(), func(a models.AllocationView) bool { return a.LocationID == n.LocationID }), nil)
}

// firstOf returns the first element that fits; nil when none does.
func firstOf[T any](list []T, fits func(T) bool) *T {
	if i := slices.IndexFunc(list, fits); i >= 0 {
		return &list[i]
	}
	return nil
}

// asNode returns an interface that is nil when found is.
func asNode[T any, P interface {
	*T
	generated.Node
}](found P, err error) (generated.Node, error) {
	if err != nil || found == nil {
		return nil, err
	}
	return found, nil
}

// A batch resolver gets all parents of a list at once, with nil for elements that
// are null. idsOf returns the product ids of the others, and inPlaceOf puts what was
// found for these ids into the places of their parents.

func idsOf[P any](parents []*P, id func(*P) string) []string {
	ids := make([]string, 0, len(parents))
	for _, p := range parents {
		if p != nil {
			ids = append(ids, id(p))
		}
	}
	return ids
}

func inPlaceOf[P, T any](parents []*P, found []*T) []*T {
	out := make([]*T, len(parents))
	next := 0
	for i, p := range parents {
		if p != nil {
			out[i] = found[next]
			next++
		}
	}
	return out
}

// pointersTo converts a list to the form that gqlgen returns.
func pointersTo[T any](values []T) []*T {
	out := make([]*T, len(values))
	for i := range values {
		out[i] = &values[i]
	}
	return out
}

// valuesOf converts a list from the form that gqlgen passes; nil for a list that the
// input leaves out.
func valuesOf[T any](pointers []*T) []T {
	if pointers == nil {
		return nil
	}
	out := make([]T, len(pointers))
	for i, p := range pointers {
		out[i] = *p
	}
	return out
}

// textOf returns an optional text; empty when the input leaves it out.
func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// errorsOf returns the refusals of a write as the members of its payload's error
// interface. It panics on a refusal that is no member, which the store never returns.
// The list is never nil: the schema has no null there.
func errorsOf[T models.UserError](errs []models.UserError) []T {
	members := make([]T, len(errs))
	for i, e := range errs {
		members[i] = e.(T)
	}
	return members
}
