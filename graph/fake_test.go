package graph_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"onhand/graph"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/models/history"
	"onhand/models/operations"
	"onhand/models/paging"
)

// fakeStore answers as a test tells it, and records its calls.
type fakeStore struct {
	stocks          func(ids []string) ([]*models.Stock, error)
	fresh           func(id string) (*models.Stock, error)
	products        func() (paging.ProductPage, error)
	reservation     func(id string) (*models.Reservation, error)
	reservationList func() (paging.ReservationPage, error)
	write           func(models.Write) (models.WriteResult, error)
	watch           func(ctx context.Context) (models.Watch[*models.Stock], error)
	reservations    func(ctx context.Context) (models.Watch[*models.Reservation], error)
	movements       func() (paging.MovementPage, error)
	moved           func(after string) (models.Watch[*models.StockMovement], error)
	now             func() error
	shared          func(id string) (*models.Stock, error)
	locations       []models.Location // besides London
	statuses        func() (models.Watch[*models.StockStatusChange], error)
	channels        []models.Channel
	histories       func(history.HistoryRequest) ([]*history.StockHistory, error)
	directory       *models.Directory // nil: London and locations
	newest          *models.Directory // what FreshDirectory returns; nil: directory

	mu                sync.Mutex
	asked             [][]string // the ids of each call of Stocks
	askedReservations [][]string // and of Reservations
	askedDirectories  int        // calls of FreshDirectory
}

var _ graph.Store = (*fakeStore)(nil)

func (f *fakeStore) Stocks(_ context.Context, ids []string) ([]*models.Stock, error) {
	f.mu.Lock()
	f.asked = append(f.asked, ids)
	f.mu.Unlock()
	if f.stocks == nil {
		return known(ids)
	}
	return f.stocks(ids)
}

func (f *fakeStore) Histories(_ context.Context, request history.HistoryRequest) ([]*history.StockHistory, error) {
	if f.histories == nil {
		return make([]*history.StockHistory, len(request.ProductIDs)), nil
	}
	return f.histories(request)
}

func (f *fakeStore) Operations(context.Context) (*operations.OperationsSnapshot, error) {
	return &operations.OperationsSnapshot{}, nil
}

func (f *fakeStore) IsDemo() bool { return true }

func (f *fakeStore) calls() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][]string{}, f.asked...)
}

func (f *fakeStore) SharedStock(_ context.Context, id string) (*models.Stock, error) {
	return f.shared(id)
}

func (f *fakeStore) FreshStock(_ context.Context, id string) (*models.Stock, error) {
	return f.fresh(id)
}

func (f *fakeStore) StockAsOf(_ context.Context, id string, _ time.Time) (*models.Stock, error) {
	return f.fresh(id)
}

func (f *fakeStore) Products(context.Context, paging.Request, paging.ProductQuery) (paging.ProductPage, error) {
	return f.products()
}

func (f *fakeStore) ListReservations(context.Context, paging.ReservationRequest, paging.ReservationQuery) (paging.ReservationPage, error) {
	return f.reservationList()
}

func (f *fakeStore) Reservations(_ context.Context, ids []string) ([]*models.Reservation, error) {
	f.mu.Lock()
	f.askedReservations = append(f.askedReservations, ids)
	f.mu.Unlock()
	found := make([]*models.Reservation, len(ids))
	for i, id := range ids {
		var err error
		if found[i], err = f.reservation(id); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (f *fakeStore) Movements(context.Context, paging.MovementRequest, models.MovementFilter) (paging.MovementPage, error) {
	return f.movements()
}

func (f *fakeStore) Movement(context.Context, int64, string) (*models.StockMovement, error) {
	page, err := f.movements()
	if err != nil || len(page.Movements) == 0 {
		return nil, err
	}
	return page.Movements[0], nil
}

// serverTime is the clock of a fakeStore.
var serverTime = time.Date(2030, 1, 1, 0, 0, 1, 0, time.UTC)

func (f *fakeStore) Now(context.Context) (time.Time, error) {
	if f.now == nil {
		return serverTime, nil
	}
	return serverTime, f.now()
}

func (f *fakeStore) Directory() *models.Directory {
	if f.directory != nil {
		return f.directory
	}
	london := models.Location{LocationID: "london", Name: "London", Active: true}
	return models.NewDirectory(append([]models.Location{london}, f.locations...), f.channels)
}

func (f *fakeStore) FreshDirectory(context.Context) *models.Directory {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.askedDirectories++
	if f.newest != nil {
		return f.newest
	}
	return f.Directory()
}

func (f *fakeStore) Write(_ context.Context, w models.Write) (models.WriteResult, error) {
	return f.write(w)
}

// PushStock refuses, so that subscriptions need a goroutine.
func (*fakeStore) PushStock(context.Context, []string, string, func(bool)) (models.Watch[*models.Stock], error) {
	return nil, errors.New("this store pushes nothing")
}

func (f *fakeStore) WatchStock(ctx context.Context, _ []string) (models.Watch[*models.Stock], error) {
	return f.watch(ctx)
}

func (f *fakeStore) WatchView(ctx context.Context, _ []string, _ string) (models.Watch[*models.Stock], error) {
	return f.watch(ctx)
}

func (f *fakeStore) WatchStatus(context.Context, string, []models.StockStatus, []string) (models.Watch[*models.StockStatusChange], error) {
	return f.statuses()
}

func (f *fakeStore) WatchMovements(_ context.Context, after string, _ models.MovementFilter) (models.Watch[*models.StockMovement], error) {
	return f.moved(after)
}

func (f *fakeStore) WatchReservation(ctx context.Context, _ string) (models.Watch[*models.Reservation], error) {
	return f.reservations(ctx)
}

// known returns a stock for each id, nil for ids that begin with "none".
func known(ids []string) ([]*models.Stock, error) {
	out := make([]*models.Stock, len(ids))
	for i, id := range ids {
		if len(id) < 4 || id[:4] != "none" {
			out[i] = stockOf(id, 1)
		}
	}
	return out, nil
}

func stockOf(id string, version int64) *models.Stock {
	return &models.Stock{
		Product: models.Product{ProductID: id, Tracked: true, InventoryPolicy: models.Deny, Version: version},
		Levels:  []models.Level{{ProductID: id, LocationID: "london", Active: true, Quantities: models.Quantities{Available: int(version)}}},
		Epoch:   "e", AsOf: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Source: models.FromCache,
	}
}

// apiOver returns the API over a store.
func apiOver(store graph.Store) http.Handler {
	return graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: store, Log: slog.New(slog.DiscardHandler)},
		Closing:  transport.NewClosing(), Interpreted: interpreted,
	})
}

// interpreted is the setting COMPILED_READS of the server: with off, the tests of this
// package have every operation answered by gqlgen's executor.
var interpreted = os.Getenv("COMPILED_READS") == "off"

// fakeWatch delivers the values that a test sends.
type fakeWatch[T any] struct {
	states chan T
	err    error // ends the watch after states is closed; nil means io.EOF
	closed chan struct{}
	once   sync.Once
}

func newFakeWatch[T any](states ...T) *fakeWatch[T] {
	w := &fakeWatch[T]{states: make(chan T, len(states)), closed: make(chan struct{})}
	for _, s := range states {
		w.states <- s
	}
	return w
}

// Next implements models.Watch.
func (w *fakeWatch[T]) Next(ctx context.Context) (state T, err error) {
	select {
	case s, ok := <-w.states:
		if !ok {
			if w.err != nil {
				return state, w.err
			}
			return state, io.EOF
		}
		return s, nil
	case <-ctx.Done():
		return state, ctx.Err()
	}
}

// Close implements models.Watch.
func (w *fakeWatch[T]) Close() { w.once.Do(func() { close(w.closed) }) }
