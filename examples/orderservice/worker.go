package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/examples/orderservice/client"
)

const (
	// requestTimeout bounds one request. Onhand answers within 6 s.
	requestTimeout = 10 * time.Second
	// retryMin and retryMax bound the time between two attempts.
	retryMin, retryMax = 100 * time.Millisecond, 30 * time.Second
	// idle is how long the worker waits when nothing is due.
	idle = 50 * time.Millisecond
)

// worker sends the steps of the outbox to Onhand.
type worker struct {
	orders *orders
	onhand graphql.Client
}

// run sends steps until the context ends. After a crash the next run sends a step again
// with the same key: Onhand answers as it did, and does nothing twice.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		next, err := w.orders.due(ctx, time.Now())
		if err == nil && next != nil {
			err = w.send(ctx, next)
		}
		if err != nil && ctx.Err() == nil {
			slog.Error("the outbox cannot be worked off", "error", err)
		}
		if err != nil || next == nil {
			wait(ctx, idle)
		}
	}
}

// send sends one step and records what came of it.
func (w *worker) send(ctx context.Context, o *owed) error {
	answer, err := w.ask(ctx, o)
	if code := codeOf(err); code == "BAD_USER_INPUT" { // the same request will never be right
		slog.Error("a step is wrong", "order", o.ref, "step", o.step, "error", err)
		return w.orders.refused(ctx, o, code+": "+err.Error())
	}
	if err != nil {
		pause := pauseAfter(err, o.attempts)
		slog.Warn("a step is sent again later", "order", o.ref, "step", o.step, "in", pause, "error", err)
		return w.orders.later(ctx, o, time.Now().Add(pause))
	}
	for _, r := range answer.Errors {
		if r.Code == "CONCURRENT_REQUEST" { // the first attempt is still being decided
			return w.orders.later(ctx, o, time.Now().Add(retryMin))
		}
	}
	if len(answer.Errors) > 0 {
		refusal := answer.Errors[0]
		slog.Error("a step is refused", "order", o.ref, "step", o.step, "code", refusal.Code)
		return w.orders.refused(ctx, o, fmt.Sprintf("%s: %s", refusal.Code, refusal.Message))
	}
	return w.orders.done(ctx, o, strings.ToLower(string(answer.Reservation.State)))
}

// ask sends the request of a step. Refusals are final; an error is not.
func (w *worker) ask(ctx context.Context, o *owed) (*client.Answer, error) {
	ctx, stop := context.WithTimeout(ctx, requestTimeout)
	defer stop()
	var answer *client.Answer
	var err error
	switch o.step {
	case commit:
		var r *client.CommitResponse
		r, err = client.Commit(ctx, w.onhand, client.CommitReservationInput{
			IdempotencyKey: o.key, Id: o.reservationID, OrderRef: &o.ref, Lines: o.lines, Reacquire: true})
		answer = r.CommitReservation
	case fulfill:
		var r *client.FulfillResponse
		r, err = client.Fulfill(ctx, w.onhand, client.FulfillReservationInput{IdempotencyKey: o.key, Id: o.reservationID, Lines: o.lines})
		answer = r.FulfillReservation
	case cancel:
		var r *client.CancelResponse
		r, err = client.Cancel(ctx, w.onhand, client.CancelReservationInput{IdempotencyKey: o.key, Id: o.reservationID, Lines: o.lines})
		answer = r.CancelReservation
	}
	if err == nil && (answer == nil || answer.Reservation == nil && len(answer.Errors) == 0) {
		err = errors.New("an answer without data")
	}
	return answer, err
}

// pauseAfter returns how long to wait after a failed attempt: as Onhand says, or twice as
// long each time, with jitter.
func pauseAfter(err error, attempts int) time.Duration {
	pause := min(retryMax, retryMin<<min(attempts, 10))
	for _, e := range faultsOf(err) {
		if ms, ok := e.Extensions["retryAfterMs"].(float64); ok {
			pause = min(retryMax, max(retryMin, time.Duration(ms)*time.Millisecond))
		}
	}
	return pause/2 + rand.N(pause/2+1)
}

// faultsOf returns the top-level errors of an answer; none for another error.
func faultsOf(err error) (list gqlerror.List) {
	var http *graphql.HTTPError
	if errors.As(err, &http) {
		return http.Response.Errors
	}
	_ = errors.As(err, &list)
	return list
}

// codeOf returns the code of the first top-level error of an answer, if it has one.
func codeOf(err error) string {
	for _, e := range faultsOf(err) {
		code, _ := e.Extensions["code"].(string)
		return code
	}
	return ""
}

// wait waits, or until the context ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// withToken adds the service's bearer token to each request.
type withToken struct {
	token string
	next  *http.Client
}

// Do sends a request.
func (t withToken) Do(r *http.Request) (*http.Response, error) {
	if t.token != "" {
		r.Header.Set("Authorization", "Bearer "+t.token)
	}
	return t.next.Do(r)
}
