package optimistic

import (
	"context"
	"errors"
	"slices"
	"time"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/store/database/decide"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/dialect"
)

// ErrRefused says that the database found other rows than an optimistic batch was
// decided on, or one of its keys used before. Nothing was written.
var ErrRefused = errors.New("the optimistic batch was decided on rows that have changed")

// BatchEngine is what an engine does for optimistic batches.
type BatchEngine interface {
	// FetchProducts reads products and then their levels without a lock, in one round
	// trip.
	FetchProducts(ctx context.Context, products []string) (*decide.UnitOfWork, error)
	// FetchUncounted reads the holders of active reservations that are not counted, at most
	// limit.
	FetchUncounted(ctx context.Context, limit int, keep func(holder string)) error
	// NewRows returns an empty list of reservation rows.
	NewRows() ReservationRows
	// CommitBatch commits a closed batch in one round trip.
	//
	// Errors: one that wraps ErrRefused; UNAVAILABLE.
	CommitBatch(ctx context.Context, b *ReservationBatch, lockWait time.Duration) (CommitResult, error)
}

// ReservationRows collects the rows of new reservations in the engine's own form, so
// that encoding them overlaps with the transaction before.
type ReservationRows interface {
	// Add adds the row of one reservation.
	Add(hashes *keyhash.KeyHashes, reservation *models.Reservation, ttl time.Duration, counted, inPurchases bool)
	// Args returns the rows as parameters of a statement.
	Args() []any
}

// Executor decides reservations on the snapshot cache and commits them. A nil
// Executor decides none. It is safe for concurrent use.
type Executor struct {
	// LockWait bounds the wait for one locked row; Timeout bounds one commit.
	LockWait, Timeout time.Duration
	// ContendedFor is how long a sweep that was announced counts as contention.
	ContendedFor time.Duration
	// NoConditional has contended products decided under lock instead of by
	// conditional decrement. Benchmarks set it to measure the gain.
	NoConditional bool
	// HolderLimits bound what holders of reservations keep.
	HolderLimits holderlimits.Limits

	engine    BatchEngine
	uncounted *uncountedHolders
	cache     *cache
	// identity returns the epoch and the secret of the database as they were read
	// last; the secret is nil before.
	identity func() (epoch string, secret *keyhash.Secret)
}

// NewExecutor returns an executor with an empty snapshot cache.
func NewExecutor(engine BatchEngine, identity func() (epoch string, secret *keyhash.Secret)) *Executor {
	return &Executor{LockWait: dialect.LockTimeout, Timeout: dialect.WriteTimeout, ContendedFor: ContendedFor, engine: engine, uncounted: newUncountedHolders(time.Now), cache: newCache(), identity: identity}
}

// PreparedReservation is a reserve write with its hashes.
type PreparedReservation struct {
	reserve models.Reserve
	secret  *keyhash.Secret // that the hashes were made with
	hashes  keyhash.KeyHashes
}

// Prepare hashes a write's idempotency key and input. It returns nil for a write that
// cannot be decided optimistically.
func (e *Executor) Prepare(w models.Write) *PreparedReservation {
	reserve, ok := w.(models.Reserve)
	if e == nil || !ok || w.Key() == "" {
		return nil
	}
	_, secret := e.identity()
	if secret == nil {
		return nil
	}
	return &PreparedReservation{reserve: reserve, secret: secret, hashes: secret.Hash(w)}
}

// notAfterMargin is how long before its NotAfter, by the clock of this instance, a
// reservation is decided under lock. In an optimistic batch it would have the database
// refuse the others too. A commit takes less than that.
const notAfterMargin = time.Second

// soonTooLate reports whether the key may not be used any more when the batch commits.
func (w *PreparedReservation) soonTooLate() bool {
	limit := w.reserve.NotAfter
	return limit != nil && time.Until(*limit) < notAfterMargin
}

// Missing lists the products of a reservation that the snapshot cache lacks, each
// once or more.
func (e *Executor) Missing(w *PreparedReservation) (ids []string) {
	if e == nil || w == nil {
		return nil
	}
	e.cache.mu.Lock()
	defer e.cache.mu.Unlock()
	for _, line := range w.reserve.Lines {
		if e.cache.products[line.ProductID] == nil {
			ids = append(ids, line.ProductID)
		}
	}
	return ids
}

// Fetch reads products into the snapshot cache without locking them. Products that do
// not exist stay missing.
func (e *Executor) Fetch(ctx context.Context, ids []string) error {
	if e == nil {
		return nil
	}
	slices.Sort(ids)
	u, err := e.engine.FetchProducts(ctx, slices.Compact(ids))
	if err != nil {
		return err
	}
	e.cache.addFetched(u)
	return nil
}

// Learn puts what a transaction had locked and has committed into the snapshot cache.
func (e *Executor) Learn(u *decide.UnitOfWork) {
	if e == nil {
		return
	}
	e.cache.mu.Lock()
	defer e.cache.mu.Unlock()
	e.cache.put(u)
}
