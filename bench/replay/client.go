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
	// retriesMax bounds the repeats of one call, whatever --retry-for says.
	retriesMax = 1000
	// retryWaitMin and retryWaitMax bound the wait before a repeat. It doubles between them; half of it is random.
	retryWaitMin = 10 * time.Millisecond
	retryWaitMax = 2 * time.Second
	// answerBytesMax is the largest answer that is read; a page of 250 stocks at many locations fits.
	answerBytesMax = 32 << 20
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

// mutationAnswer is the answer of any of the mutations.
type mutationAnswer struct {
	Reservation *struct {
		ID    string `json:"id"`
		State string `json:"state"`
	} `json:"reservation"`
	Replayed bool        `json:"replayed"`
	Errors   []userError `json:"errors"`
}

// userError is a business failure.
type userError struct {
	Type    string `json:"__typename"`
	Message string `json:"message"`
	Code    string `json:"code"`
}

// callError is a call without an answer.
type callError struct {
	kind      string // what it is counted as
	message   string
	retryable bool // the same call may succeed later
	refused   bool // it certainly had no effect
}

// Error names the kind first.
func (e *callError) Error() string { return e.kind + ": " + e.message }

// retryingClient speaks GraphQL over HTTP to one server. It is safe for concurrent use.
type retryingClient struct {
	http     *http.Client
	url      string
	token    string
	retryFor time.Duration
	retries  *kindCounts
	calls    atomic.Int64
	// pause waits before repeat n; tests replace it.
	pause func(ctx context.Context, n int) error
}

func newRetryingClient(url, token string, customers int, retryFor time.Duration, retries *kindCounts) *retryingClient {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConns:        customers,
		MaxIdleConnsPerHost: customers,
		MaxConnsPerHost:     customers,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		IdleConnTimeout:     30 * time.Second,
	}
	return &retryingClient{
		http: &http.Client{Transport: transport, Timeout: attemptTime},
		url:  url, token: token, retryFor: retryFor, retries: retries, pause: jitteredPause,
	}
}

func (c *retryingClient) close() { c.http.CloseIdleConnections() }

// mutate sends one write. It repeats the same bytes, with the same idempotency key, until there is an answer or retryFor
// is over. The error is a *callError.
func (c *retryingClient) mutate(ctx context.Context, document string, input map[string]any) (mutationAnswer, error) {
	var data struct {
		Answer mutationAnswer `json:"answer"`
	}
	err := c.query(ctx, document, map[string]any{"input": input}, &data, func() *callError {
		for _, f := range data.Answer.Errors {
			if f.Code == "CONCURRENT_REQUEST" {
				data.Answer = mutationAnswer{} // the next one is read into it
				return &callError{kind: "CONCURRENT_REQUEST", message: f.Message, retryable: true}
			}
		}
		return nil
	})
	return data.Answer, err
}

// query asks until there is an answer or retryFor is over. check, where not nil, may reject an answer.
func (c *retryingClient) query(ctx context.Context, document string, variables map[string]any, into any, check func() *callError) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	deadline := time.Now().Add(c.retryFor)
	for n := 1; ; n++ {
		failed := c.attempt(ctx, body, into)
		if failed == nil && check != nil {
			failed = check()
		}
		if failed == nil {
			return nil
		}
		if !failed.retryable || n > retriesMax || time.Now().After(deadline) {
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
func (c *retryingClient) attempt(ctx context.Context, body []byte, into any) *callError {
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
		return &callError{kind: "network", message: err.Error(), retryable: ctx.Err() == nil}
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up; nothing to lose
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return &callError{kind: "network", message: err.Error(), retryable: ctx.Err() == nil}
	}
	return decode(response.StatusCode, raw, into)
}

// decode reads a GraphQL answer. Another body came from something between client and server; then the status decides.
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
	retryable := status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
	return &callError{
		kind: fmt.Sprintf("HTTP %d", status), message: err.Error(), retryable: retryable,
		refused: status >= http.StatusBadRequest && status < http.StatusInternalServerError,
	}
}

// fault reads a top-level error by its code.
func fault(code, message string) *callError {
	e := &callError{kind: code, message: message}
	switch code {
	case "":
		e.kind = "fault without a code"
	case "UNAVAILABLE", "RATE_LIMITED":
		e.retryable = true
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
