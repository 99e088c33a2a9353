package graph

import (
	"context"
	"time"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/models"
)

// write sends one reservation write to the store.
func (r *Resolver) write(ctx context.Context, w models.Write) (*generated.ReservationPayload, error) {
	result, err := r.Store.Write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &generated.ReservationPayload{
		Reservation: result.Reservation, Replayed: result.Replayed, Errors: orEmpty(result.Errors),
	}, nil
}

// order sends a write of the order service.
func (r *Resolver) order(ctx context.Context, w models.Resolve) (*generated.ReservationPayload, error) {
	actor, err := guard.Require(ctx, guard.WriteOrders)
	if err != nil {
		return nil, err
	}
	w.Actor = actor
	return r.write(ctx, w)
}

func orEmpty(errs []models.UserError) []models.UserError {
	if errs == nil {
		return []models.UserError{}
	}
	return errs
}

// ttl turns seconds into a time to live; zero when the client did not say.
// What is far out of bounds stays out of bounds, without overflowing.
func ttl(seconds *int) time.Duration {
	const most = int(1_000_000_000)
	if seconds == nil {
		return 0
	}
	if *seconds == 0 {
		return -1 // asked for, and refused by its check
	}
	return time.Duration(min(max(*seconds, -most), most)) * time.Second
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
