package graph

import (
	"context"
	"strconv"
	"strings"
	"time"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/loaders"
	"onhand/graph/viewer"
	"onhand/models"
	"onhand/models/paging"
)

// changeReservation sends a write that needs no scope. Its caller reaches its own
// reservations, and those whose id is a capability.
func (r *Resolver) changeReservation(ctx context.Context, w models.Write) (*generated.ReservationPayload, error) {
	if refusal := viewer.GuessableKey(ctx, w.Key()); refusal != nil {
		return &generated.ReservationPayload{Errors: errorsOf[models.ReservationError]([]models.UserError{refusal})}, nil
	}
	result, err := r.Store.Write(ctx, w)
	return r.reservationPayload(ctx, result, err)
}

// resolveOrder sends a write of the order service.
func (r *Resolver) resolveOrder(ctx context.Context, w models.Resolve) (*generated.ReservationPayload, error) {
	w.Access, w.Actor = viewer.Acting(ctx), guard.Subject(ctx)
	return r.changeReservation(ctx, w)
}

// reservation loads a reservation that exists for the caller; nil for any other id.
func reservation(ctx context.Context, id string) (*models.Reservation, error) {
	found, err := loaders.Of(ctx).Reservation(ctx, id)
	if err != nil || found == nil || !viewer.Reading(ctx).Reaches(found.Holder) {
		return nil, err
	}
	return found, nil
}

func (r *Resolver) reservationPayload(ctx context.Context, result models.WriteResult, err error) (*generated.ReservationPayload, error) {
	if err != nil {
		return nil, err
	}
	payload := &generated.ReservationPayload{
		Reservation: result.Reservation, Replayed: result.Replayed, Errors: errorsOf[models.ReservationError](r.QuantityCap.For(ctx).Errors(result.Errors)),
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

// reservationPageOf checks the page arguments of reservations.
func reservationPageOf(first *int, after *string, last *int, before *string) (paging.ReservationRequest, error) {
	page, err := pageOf(first, after, last, before)
	if err != nil {
		return paging.ReservationRequest{}, err
	}
	request := paging.ReservationRequest{First: page.First, Last: page.Last}
	if request.After, err = parseReservationKey(page.After); err == nil {
		request.Before, err = parseReservationKey(page.Before)
	}
	return request, err
}

// reservationCursorOf returns the cursor of a position: microseconds and id.
func reservationCursorOf(at paging.ReservationPosition) string {
	return cursorOf("reservation:" + strconv.FormatInt(at.CreatedAt.UnixMicro(), 10) + ":" + at.ID)
}

func parseReservationKey(key string) (paging.ReservationPosition, error) {
	if key == "" {
		return paging.ReservationPosition{}, nil
	}
	text, _ := strings.CutPrefix(key, "reservation:")
	micros, id, _ := strings.Cut(text, ":")
	n, err := strconv.ParseInt(micros, 10, 64)
	at := paging.ReservationPosition{CreatedAt: time.UnixMicro(n).UTC(), ID: id}
	if year := at.CreatedAt.Year(); err != nil || year < 1 || year > 9999 || reservationCursorOf(at) != cursorOf(key) {
		return paging.ReservationPosition{}, models.BadInput("this is no cursor of an edge of reservations: %.40q", cursorOf(key))
	}
	return at, nil
}

// reservationQuery checks a filter of reservations.
func reservationQuery(f *generated.ReservationFilter) (paging.ReservationQuery, error) {
	var narrow paging.ReservationQuery
	if f == nil {
		return narrow, nil
	}
	if f.ProductID != nil {
		if problem := models.CheckProductID(*f.ProductID); problem != "" {
			return narrow, models.BadInput("filter.productId %s", problem)
		}
		narrow.ProductID = *f.ProductID
	}
	for _, field := range []struct {
		name  string
		value *string
		to    *string
	}{{"ownerRef", f.OwnerRef, &narrow.OwnerRef}, {"orderRef", f.OrderRef, &narrow.OrderRef}} {
		if field.value == nil {
			continue
		}
		if problem := models.CheckText(*field.value, models.TextLengthMax); problem != "" || *field.value == "" {
			return narrow, models.BadInput("filter.%s must have 1 to %d characters, and no control characters", field.name, models.TextLengthMax)
		}
		*field.to = *field.value
	}
	if f.State != nil {
		narrow.State = *f.State
	}
	narrow.Since = f.Since
	if f.Until != nil {
		until := endOf(*f.Until)
		narrow.Until = &until
	}
	return narrow, nil
}

func reservationConnection(page paging.ReservationPage) *generated.ReservationConnection {
	c := &generated.ReservationConnection{
		Edges: make([]*generated.ReservationEdge, len(page.Reservations)), Nodes: page.Reservations,
		PageInfo: &generated.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: page.HasPrev},
	}
	for i, r := range page.Reservations {
		at := paging.ReservationPosition{CreatedAt: r.CreatedAt, ID: r.ID}
		c.Edges[i] = &generated.ReservationEdge{Cursor: reservationCursorOf(at), Node: r}
	}
	if !page.Start.CreatedAt.IsZero() {
		start := reservationCursorOf(page.Start)
		c.PageInfo.StartCursor = &start
	}
	if !page.End.CreatedAt.IsZero() {
		end := reservationCursorOf(page.End)
		c.PageInfo.EndCursor = &end
	}
	return c
}
