package graph

import (
	"context"
	"time"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/models"
)

// changeReservation sends a write that needs no scope: the id of a reservation is the
// permission.
func (r *Resolver) changeReservation(ctx context.Context, w models.Write) (*generated.ReservationPayload, error) {
	return reservationPayload(r.Store.Write(ctx, w))
}

// resolveOrder sends a write of the order service.
func (r *Resolver) resolveOrder(ctx context.Context, w models.Resolve) (*generated.ReservationPayload, error) {
	return reservationPayload(r.writeAs(ctx, guard.WriteOrders, func(actor string) models.Write {
		w.Actor = actor
		return w
	}))
}

func reservationPayload(result models.WriteResult, err error) (*generated.ReservationPayload, error) {
	if err != nil {
		return nil, err
	}
	payload := &generated.ReservationPayload{
		Reservation: result.Reservation, Replayed: result.Replayed, Errors: errorsOf[models.ReservationError](result.Errors),
	}
	if result.Reservation != nil {
		payload.ServerTime = &result.Reservation.ServerTime
	}
	return payload, nil
}

// ttlOf converts seconds to a time to live; zero when the input leaves them out. It
// keeps values out of bounds out of bounds, without an overflow.
func ttlOf(seconds *int) time.Duration {
	const limit = 1_000_000_000
	if seconds == nil {
		return 0
	}
	if *seconds == 0 {
		return -1 // given, so the write's check must refuse it
	}
	return time.Duration(min(max(*seconds, -limit), limit)) * time.Second
}
