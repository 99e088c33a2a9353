package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// attemptLimit is how long one request may take: longer than the server's own deadline for a write, 6 s.
	attemptLimit = 8 * time.Second
	// patience bounds all attempts of one operation; longer than any fault of a scenario.
	patience = 40 * time.Second
	// pauseMin and pauseMax bound the wait between attempts, which doubles; half of it is chance.
	pauseMin, pauseMax = 10 * time.Millisecond, 400 * time.Millisecond
	// answerBytesMax is the longest answer that is read.
	answerBytesMax = 8 << 20
	// tornMax bounds the answers that are kept because they were not whole.
	tornMax = 20
)

// lost is an attempt that got no definite answer: what was asked may have happened or not.
type lost struct {
	// code is the error's code, or "lost" where no answer came at all.
	code, message string
	// torn tells that an answer began and was no whole one.
	torn bool
	// retryAfter is when the server says to come back; 0 where it says nothing.
	retryAfter time.Duration
}

// Error implements error.
func (l *lost) Error() string { return l.code + ": " + l.message }

// Codes counts the attempts without a definite answer, by their code.
type Codes struct {
	mu     sync.Mutex
	counts map[string]int
	firsts map[string]string // an example of each
	torn   []string          // answers that were not whole, a few of them
}

func (c *Codes) add(err error) {
	code, message := "lost", err.Error()
	if l, ok := err.(*lost); ok {
		code, message = l.code, l.message
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts, c.firsts = map[string]int{}, map[string]string{}
	}
	c.counts[code]++
	if l, ok := err.(*lost); ok && l.torn && len(c.torn) < tornMax {
		c.torn = append(c.torn, message)
	}
	if c.firsts[code] == "" {
		c.firsts[code] = message
	}
}

// Torn are answers that began and were not whole.
func (c *Codes) Torn() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.torn)
}

// Count is how often a code came.
func (c *Codes) Count(code string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[code]
}

// String lists them with an example each.
func (c *Codes) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(c.counts)) {
		parts = append(parts, fmt.Sprintf("%d %s (%s)", c.counts[code], code, c.firsts[code]))
	}
	return strings.Join(parts, ", ")
}

// Retryable are the codes that a client may be sent by a shop in trouble.
var Retryable = []string{"lost", "UNAVAILABLE"}

// unexpected are the codes that tell a client to give up, which no fault may lead to.
func (c *Codes) unexpected() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	for code := range c.counts {
		if !slices.Contains(Retryable, code) {
			found = append(found, code+": "+c.firsts[code])
		}
	}
	return found
}

// Client speaks GraphQL over HTTP. Safe for concurrent use.
type Client struct{ http *http.Client }

func newClient(connections int) *Client {
	return &Client{&http.Client{Timeout: attemptLimit, Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, MaxIdleConns: 4 * connections,
		DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
	}}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ask sends one request to the copy at url and reads its data into into. The error is a *lost, or says that the answer
// cannot be read.
func (c *Client) Ask(ctx context.Context, url, document string, variables map[string]any, into any) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return &lost{code: "lost", message: err.Error()}
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return &lost{code: "lost", message: err.Error(), torn: true}
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct {
				Code         string
				RetryAfterMs int
			}
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return &lost{code: "lost", message: fmt.Sprintf("HTTP %d: %.100s", response.StatusCode, raw), torn: true}
	}
	if len(answer.Errors) > 0 {
		first := answer.Errors[0]
		return &lost{code: first.Extensions.Code, message: first.Message, retryAfter: time.Duration(first.Extensions.RetryAfterMs) * time.Millisecond}
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return fmt.Errorf("decode the answer %.200s: %w", answer.Data, err)
	}
	return nil
}

// pause waits before attempt n+1: longer each time, half of it chance.
func pause(ctx context.Context, dice *rand.Rand, n int) {
	wait := min(pauseMin<<min(n, 10), pauseMax)
	select {
	case <-ctx.Done():
	case <-time.After(wait/2 + time.Duration(dice.Int64N(int64(wait/2)))):
	}
}
