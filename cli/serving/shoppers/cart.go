package shoppers

import (
	"context"
	"crypto/rand"
	"fmt"
	random "math/rand/v2"
	"strings"
)

// orderPrefix begins the references of simulated orders.
const orderPrefix = "simulated-"

const (
	demoQuery = `query SimulatedShop { shop { demo } }`

	reserveMutation = `mutation SimulatedCart($key: String!, $lines: [ReservationLineInput!]!, $ttl: Int!) {
		reserveStock(input: {idempotencyKey: $key, lines: $lines, ttlSeconds: $ttl, allowPartial: true}) {
			reservation { id } errors { message code }
		}
	}`
	commitMutation = `mutation SimulatedOrder($key: String!, $id: ID!, $order: String!) {
		commitReservation(input: {idempotencyKey: $key, id: $id, orderRef: $order}) {
			reservation { lines { productId quantity allocations { location { locationId } quantity } } } errors { message code }
		}
	}`
	releaseMutation = `mutation SimulatedRelease($id: ID!) { releaseReservation(input: {id: $id}) { errors { message code } } }`
	fulfilMutation  = `mutation SimulatedParcel($key: String!, $id: ID!) { fulfillReservation(input: {idempotencyKey: $key, id: $id}) { errors { message code } } }`
	cancelMutation  = `mutation SimulatedCancel($key: String!, $id: ID!) { cancelReservation(input: {idempotencyKey: $key, id: $id}) { errors { message code } } }`
	returnMutation  = `mutation SimulatedReturn($key: String!, $rows: [AdjustStockRow!]!, $document: String) {
		adjustStock(input: {idempotencyKey: $key, reason: RETURNED, referenceDocumentUri: $document, rows: $rows}) { errors { message code } }
	}`
	leftQuery = `query SimulatedLeft($after: String) {
		reservations(first: 100, after: $after, filter: {state: COMMITTED}) { nodes { id orderRef } pageInfo { hasNextPage endCursor } }
	}`
)

// leftPagesMax bounds the pages of orders that a start looks through.
const leftPagesMax = 20

// payload is the answer to a mutation.
type payload struct {
	Reservation *struct {
		ID    string
		Lines []cartLine
	}
	Errors []refusal
}

type cartLine struct {
	ProductID   string
	Quantity    int
	Allocations []struct {
		Location struct{ LocationID string }
		Quantity int
	}
}

// change sends a mutation with one field.
//
// Errors: errRefused for a business error.
func (s *Simulation) change(ctx context.Context, document string, variables map[string]any) (payload, error) {
	var answer map[string]payload
	if err := s.api.ask(ctx, document, variables, &answer); err != nil {
		return payload{}, err
	}
	for _, done := range answer {
		if len(done.Errors) > 0 && done.Reservation == nil {
			return done, fmt.Errorf("%w: %s: %s", errRefused, done.Errors[0].Code, done.Errors[0].Message)
		}
		return done, nil
	}
	return payload{}, fmt.Errorf("an empty answer")
}

func (s *Simulation) isDemo(ctx context.Context) (bool, error) {
	var answer struct{ Shop struct{ Demo bool } }
	err := s.api.ask(ctx, demoQuery, nil, &answer)
	return answer.Shop.Demo, err
}

// shop fills one cart and sees what becomes of it.
func (s *Simulation) shop(ctx context.Context) error {
	var lines []map[string]any
	for range 1 + random.IntN(2) {
		lines = append(lines, map[string]any{"productId": s.favourite(), "quantity": 1 + random.IntN(3)})
	}
	ttl := cartTTL + random.IntN(cartTTLMax-cartTTL)
	cart, err := s.change(ctx, reserveMutation, map[string]any{"key": rand.Text(), "lines": lines, "ttl": ttl})
	if err != nil {
		return err
	}
	s.pause(ctx, cartTime)
	switch fate := random.IntN(100); {
	case ctx.Err() != nil || fate < 15: // the shopper forgets it, and it expires
		return nil
	case fate < 40:
		_, err = s.change(ctx, releaseMutation, map[string]any{"id": cart.Reservation.ID})
		return err
	}
	return s.order(ctx, cart.Reservation.ID)
}

// order orders a cart. Most orders are shipped, and a few of these come back.
func (s *Simulation) order(ctx context.Context, id string) error {
	reference := orderPrefix + strings.ToLower(rand.Text()[:10])
	ordered, err := s.change(ctx, commitMutation, map[string]any{"key": rand.Text(), "id": id, "order": reference})
	if err != nil {
		return err
	}
	s.pause(ctx, packTime)
	if ctx.Err() != nil {
		return nil
	}
	if random.IntN(8) == 0 {
		_, err = s.change(ctx, cancelMutation, map[string]any{"key": rand.Text(), "id": id})
		return err
	}
	if _, err = s.change(ctx, fulfilMutation, map[string]any{"key": rand.Text(), "id": id}); err != nil || random.IntN(6) > 0 {
		return err
	}
	s.pause(ctx, packTime)
	return s.giveBack(ctx, reference, ordered.Reservation.Lines)
}

// giveBack returns one unit of an order.
func (s *Simulation) giveBack(ctx context.Context, reference string, lines []cartLine) error {
	if ctx.Err() != nil || len(lines) == 0 || len(lines[0].Allocations) == 0 {
		return nil
	}
	row := map[string]any{"productId": lines[0].ProductID, "locationId": lines[0].Allocations[0].Location.LocationID, "delta": 1}
	_, err := s.change(ctx, returnMutation, map[string]any{"key": rand.Text(), "rows": []any{row}, "document": reference})
	return err
}

// shipLeftOrders ships the orders of shoppers who were stopped.
func (s *Simulation) shipLeftOrders(ctx context.Context) error {
	after := any(nil)
	for range leftPagesMax {
		var answer struct {
			Reservations struct {
				Nodes    []struct{ ID, OrderRef string }
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
			}
		}
		if err := s.api.ask(ctx, leftQuery, map[string]any{"after": after}, &answer); err != nil {
			return err
		}
		for _, left := range answer.Reservations.Nodes {
			if strings.HasPrefix(left.OrderRef, orderPrefix) {
				if _, err := s.change(ctx, fulfilMutation, map[string]any{"key": rand.Text(), "id": left.ID}); err != nil {
					return err
				}
			}
		}
		if !answer.Reservations.PageInfo.HasNextPage {
			return nil
		}
		after = answer.Reservations.PageInfo.EndCursor
	}
	return nil
}
