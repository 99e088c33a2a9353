package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// attemptTime is how long one HTTP request may take before it counts as lost.
	attemptTime = 30 * time.Second
	// retriesMax bounds the repeats of one call, whatever --patience says.
	retriesMax = 1000
	// retryWaitMin and retryWaitMax bound the wait before a repeat; it doubles between them, and half of it is chance.
	retryWaitMin = 10 * time.Millisecond
	retryWaitMax = 2 * time.Second
	// answerSizeMax is the largest answer that is read, in bytes; a page of 250 stocks at many places fits.
	answerSizeMax = 32 << 20
)

// The documents. Each mutation is called answer, so that one type reads them all.
const (
	failuresFields = `errors { __typename ... on UserError { message } ... on IdempotencyError { code } }`

	reserveDocument = `mutation Reserve($input: ReserveStockInput!) {
  answer: reserveStock(input: $input) { reservation { id state } replayed ` + failuresFields + ` }
}`
	commitDocument = `mutation Commit($input: CommitReservationInput!) {
  answer: commitReservation(input: $input) { reservation { id state } replayed ` + failuresFields + ` }
}`
	adjustDocument = `mutation Adjust($input: AdjustStockInput!) {
  answer: adjustStock(input: $input) { replayed ` + failuresFields + ` }
}`
)

// answer is what any of the mutations says.
type answer struct {
	Reservation *struct {
		ID    string `json:"id"`
		State string `json:"state"`
	} `json:"reservation"`
	Replayed bool      `json:"replayed"`
	Errors   []failure `json:"errors"`
}

// failure is a business failure.
type failure struct {
	Type    string `json:"__typename"`
	Message string `json:"message"`
	Code    string `json:"code"`
}

// callError is a call that got no answer.
type callError struct {
	kind    string // what it is counted as
	message string
	again   bool // the same call may well succeed later
	refused bool // certain to have had no effect
}

// Error names the kind first.
func (e *callError) Error() string { return e.kind + ": " + e.message }

// client speaks GraphQL over HTTP to one server. Safe for concurrent use.
type client struct {
	http     *http.Client
	url      string
	token    string
	patience time.Duration
	retries  *counts
	calls    atomic.Int64
	// pause waits before repeat n; tests replace it.
	pause func(ctx context.Context, n int) error
}

func newClient(url, token string, customers int, patience time.Duration, retries *counts) *client {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConns:        customers,
		MaxIdleConnsPerHost: customers,
		MaxConnsPerHost:     customers,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		IdleConnTimeout:     30 * time.Second,
	}
	return &client{
		http: &http.Client{Transport: transport, Timeout: attemptTime},
		url:  url, token: token, patience: patience, retries: retries, pause: jitteredPause,
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// mutate makes one write happen: it repeats the same bytes, idempotency key and all, until there is an answer or the
// patience is over. The error is a *callError.
func (c *client) mutate(ctx context.Context, document string, input map[string]any) (answer, error) {
	var data struct {
		Answer answer `json:"answer"`
	}
	err := c.query(ctx, document, map[string]any{"input": input}, &data, func() *callError {
		for _, f := range data.Answer.Errors {
			if f.Code == "CONCURRENT_REQUEST" {
				data.Answer = answer{} // the next one is read into it
				return &callError{kind: "CONCURRENT_REQUEST", message: f.Message, again: true}
			}
		}
		return nil
	})
	return data.Answer, err
}

// query asks until there is an answer or the patience is over. check, where not nil, may turn an answer down.
func (c *client) query(ctx context.Context, document string, variables map[string]any, into any, check func() *callError) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	deadline := time.Now().Add(c.patience)
	for n := 1; ; n++ {
		failed := c.attempt(ctx, body, into)
		if failed == nil && check != nil {
			failed = check()
		}
		if failed == nil {
			return nil
		}
		if !failed.again || n > retriesMax || time.Now().After(deadline) {
			failed.refused = failed.refused && n == 1 // an earlier attempt may have had its effect
			return failed
		}
		c.retries.add(failed.kind, 1)
		if err := c.pause(ctx, n); err != nil {
			return failed
		}
	}
}

// attempt sends one HTTP request.
func (c *client) attempt(ctx context.Context, body []byte, into any) *callError {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return &callError{kind: "url", message: err.Error(), refused: true}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json, application/json")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	c.calls.Add(1)
	response, err := c.http.Do(request)
	if err != nil {
		return &callError{kind: "network", message: err.Error(), again: ctx.Err() == nil}
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up; nothing to lose
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerSizeMax))
	if err != nil {
		return &callError{kind: "network", message: err.Error(), again: ctx.Err() == nil}
	}
	return decode(response.StatusCode, raw, into)
}

// decode reads a GraphQL answer. A body that is none came from something in between, and its status decides.
func decode(status int, raw []byte, into any) *callError {
	var envelope struct {
		Data   json.RawMessage `json:"data"`
		Errors []struct {
			Message    string `json:"message"`
			Extensions struct {
				Code string `json:"code"`
			} `json:"extensions"`
		} `json:"errors"`
	}
	err := json.Unmarshal(raw, &envelope)
	if err == nil && len(envelope.Errors) > 0 {
		first := envelope.Errors[0]
		return fault(first.Extensions.Code, first.Message)
	}
	if err == nil && len(envelope.Data) > 0 {
		err = json.Unmarshal(envelope.Data, into)
		if err == nil {
			return nil
		}
	}
	if err == nil {
		err = errors.New("neither data nor errors")
	}
	again := status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
	return &callError{
		kind: fmt.Sprintf("HTTP %d", status), message: err.Error(), again: again,
		refused: status >= http.StatusBadRequest && status < http.StatusInternalServerError,
	}
}

// fault understands a top-level error by its code.
func fault(code, message string) *callError {
	e := &callError{kind: code, message: message}
	switch code {
	case "":
		e.kind = "fault without a code"
	case "UNAVAILABLE", "RATE_LIMITED":
		e.again = true
	case "BAD_USER_INPUT", "UNAUTHENTICATED", "FORBIDDEN", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED":
		e.refused = true
	}
	return e
}

// jitteredPause waits before repeat n, longer each time.
func jitteredPause(ctx context.Context, n int) error {
	wait := min(retryWaitMin<<min(n-1, 10), retryWaitMax)
	wait = wait/2 + rand.N(wait/2)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}
