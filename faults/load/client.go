package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	// AttemptLimit is how long one request may take: longer than the server's own deadline for a write, 6 s.
	AttemptLimit = 8 * time.Second
	// dialLimit bounds a connect.
	dialLimit = 2 * time.Second
	// pauseMin and pauseMax bound the wait between attempts. It doubles; half of it is random.
	pauseMin, pauseMax = 10 * time.Millisecond, 400 * time.Millisecond
	// answerBytesMax is the longest answer that is read.
	answerBytesMax = 8 << 20
)

// Client speaks GraphQL over HTTP. It is safe for concurrent use.
type Client struct {
	http        *http.Client
	connections *http.Transport
}

// NewClient keeps so many idle connections to each instance.
func NewClient(connections int, access ClientAccess) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxIdleConns: 4 * connections, DialContext: access.dialer().DialContext}
	return &Client{&http.Client{Timeout: AttemptLimit, Transport: access.over(transport)}, transport}
}

// Close closes idle connections.
func (c *Client) Close() { c.connections.CloseIdleConnections() }

// Ask sends one request to the instance at url and reads its data into into. The error is an *AttemptError, or says that
// the answer cannot be read.
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
		return &AttemptError{Code: NoAnswer, Message: err.Error()}
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return &AttemptError{Code: NoAnswer, Message: err.Error(), Truncated: true}
	}
	return decodeAnswer(response.StatusCode, raw, into)
}

func decodeAnswer(status int, raw []byte, into any) error {
	var envelope struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct {
				Code         string
				RetryAfterMs int
			}
		}
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return &AttemptError{Code: NoAnswer, Message: fmt.Sprintf("HTTP %d: %.100s", status, raw), Truncated: true}
	}
	if len(envelope.Errors) > 0 {
		first := envelope.Errors[0]
		return &AttemptError{
			Code: first.Extensions.Code, Message: first.Message,
			RetryAfter: time.Duration(first.Extensions.RetryAfterMs) * time.Millisecond,
		}
	}
	if err := json.Unmarshal(envelope.Data, into); err != nil {
		return fmt.Errorf("decode the answer %.200s: %w", envelope.Data, err)
	}
	return nil
}

// pause waits before attempt n+1, longer each time.
func pause(ctx context.Context, dice *rand.Rand, n int) {
	wait := min(pauseMin<<min(n, 10), pauseMax)
	sleep(ctx, wait/2+time.Duration(dice.Int64N(int64(wait/2))))
}

// sleep waits for a time, or for the end of the context.
func sleep(ctx context.Context, length time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
}
