package upkeep

import (
	"context"
	"iter"
	"log/slog"

	"onhand/models"
)

// sweepMax bounds the reservations that one sweep ends. The others wait for the
// next sweep.
const sweepMax = 100_000

// ExpirySource ends reservations whose time to live is over: at most limit, in as
// many transactions as their bounds ask for. It yields the outcome of each after
// its commit.
type ExpirySource interface {
	ExpireDue(ctx context.Context, limit int) iter.Seq2[models.Outcome, error]
}

// OutcomePublisher gives Redis and subscribers what a transaction has committed.
type OutcomePublisher interface {
	Publish(ctx context.Context, outcome models.Outcome)
}

// Sweeper returns the stock of reservations whose time to live is over. No buyer is refused
// because of such a reservation, but reads show its units as reserved until it is swept.
type Sweeper struct {
	Database  ExpirySource
	Publisher OutcomePublisher
	Logger    *slog.Logger
}

// Sweep sweeps once.
func (s *Sweeper) Sweep(ctx context.Context) {
	for outcome, err := range s.Database.ExpireDue(ctx, sweepMax) {
		switch {
		case err == nil:
			s.Publisher.Publish(ctx, outcome)
		case models.CodeOf(err) != models.CodeUnavailable:
			s.Logger.Error("reservations past their time were not ended", "error", err)
		}
	}
}
