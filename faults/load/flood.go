package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// floodSenders is how many connections a flood has, and floodPause how long each waits after an answer: the clients share
	// the processors with the instances.
	floodSenders, floodPause = 4, 2 * time.Millisecond
	// floodIDs is how many made-up products a request of MadeUpIDs asks for, all that one may.
	floodIDs = 250
	// junkBytes is the length of a body of Junk.
	junkBytes = 512 << 10
)

// FloodRequest is one request of a flood: a body, and a token unless it is empty.
type FloodRequest struct{ Body, Token string }

// MadeUpIDs asks for products that do not exist, each time for others.
func MadeUpIDs(n int) FloodRequest {
	ids := make([]string, floodIDs)
	for i := range ids {
		ids[i] = fmt.Sprintf("made-up-%d-%d", n, i)
	}
	body, _ := json.Marshal(map[string]any{"query": PageDocument, "variables": map[string]any{"ids": ids}}) // strings; cannot fail
	return FloodRequest{Body: string(body)}
}

// BadTokens sends tokens of another secret.
func BadTokens(n int) FloodRequest {
	return FloodRequest{`{"query":"{ __typename }"}`, NewToken("another secret, of 32 bytes at least", strconv.Itoa(n), "admin")}
}

// BadDocuments sends documents that are not valid, each time another one.
func BadDocuments(n int) FloodRequest {
	return FloodRequest{Body: fmt.Sprintf(`{"query":"{ wrong%d stocks(productIds: []) { nothing } }"}`, n)}
}

// Junk sends long bodies that are no requests.
func Junk(int) FloodRequest { return FloodRequest{Body: strings.Repeat("[", junkBytes)} }

// Flood is a client that sends without end.
type Flood struct {
	urls    []string
	access  ClientAccess
	request func(n int) FloodRequest
	stop    context.CancelFunc
	senders sync.WaitGroup

	mu      sync.Mutex
	answers map[int]int // by status
}

// StartFlood sends requests from one address to these instances in turn, until Stop.
func StartFlood(target *Target, source string, urls []string, request func(n int) FloodRequest) *Flood {
	f := &Flood{urls: urls, access: ClientAccess{Source: source}, request: request, answers: map[int]int{}}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	for n := range floodSenders {
		f.senders.Go(func() { f.send(ctx, n) })
	}
	target.T.Cleanup(f.Stop)
	return f
}

// Stop ends the flood.
func (f *Flood) Stop() {
	f.stop()
	f.senders.Wait()
}

// send sends every floodSenders-th request of the flood.
func (f *Flood) send(ctx context.Context, first int) {
	transport := &http.Transport{DialContext: f.access.dialer().DialContext}
	defer transport.CloseIdleConnections()
	for n := first; ctx.Err() == nil; n += floodSenders {
		if status := Send(ctx, transport, f.urls[n/floodSenders%len(f.urls)], f.request(n)); status != 0 {
			f.mu.Lock()
			f.answers[status]++
			f.mu.Unlock()
		}
		sleep(ctx, floodPause)
	}
}

// Send sends one request and returns the status of its answer; 0 without one.
func Send(ctx context.Context, transport http.RoundTripper, url string, request FloodRequest) (status int) {
	ctx, cancel := context.WithTimeout(ctx, AttemptLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader([]byte(request.Body)))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := (ClientAccess{Token: request.Token}).over(transport).RoundTrip(r)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
	return response.StatusCode
}

// From is a transport whose connections come from an address.
func From(source string) *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DialContext: ClientAccess{Source: source}.dialer().DialContext}
}

// Answers counts the answers so far by their status.
func (f *Flood) Answers() map[int]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.answers)
}

// Limited is how many answers were 429, and all how many there were.
func (f *Flood) Limited() (limited, all int) {
	answers := f.Answers()
	for _, n := range slices.Collect(maps.Values(answers)) {
		all += n
	}
	return answers[http.StatusTooManyRequests], all
}
