package transport

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// token returns the token of a new single connection.
func (b *testServer) token(t *testing.T) string {
	t.Helper()
	status, token := b.ask(t, http.MethodPut, "", "", "")
	require.Equal(t, http.StatusCreated, status)
	require.Len(t, token, 26)
	return token
}

// ask sends a request under a token, and returns status and body.
func (b *testServer) ask(t *testing.T, method, token, query, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.url+"?"+query, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("X-GraphQL-Event-Stream-Token", token)
	r.Header.Set("Content-Type", "application/json")
	response, err := b.client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

// listen opens an event stream with GET, as a browser's EventSource does.
func (b *testServer) listen(t *testing.T, query string) *eventClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"?"+query, http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	response, err := b.client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return &eventClient{t: t, response: response, lines: bufio.NewReader(response.Body)}
}

func operationBody(query, id string) string {
	return `{"query":"` + query + `","extensions":{"operationId":"` + id + `"}}`
}

// TestSingleConnection: one stream gets the results of all operations under their ids,
// those from before its connection too.
func TestSingleConnection(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	token := b.token(t)
	status, body := b.ask(t, http.MethodPost, token, "", operationBody("{ name }", "early"))
	assert.Equal(t, http.StatusAccepted, status)
	assert.Empty(t, body)

	s := b.listen(t, "token="+token)
	assert.Equal(t, http.StatusOK, s.response.StatusCode)
	assert.Equal(t, "text/event-stream", s.response.Header.Get("Content-Type"))
	s.wants(":\n")
	s.wants("event: next\ndata: {\"id\":\"early\",\"payload\":{\"data\":{\"name\":\"onhand\"}}}\n")
	s.wants("event: complete\ndata: {\"id\":\"early\"}\n")

	status, _ = b.ask(t, http.MethodPost, token, "", operationBody("subscription { tick }", `1 \"ö`))
	assert.Equal(t, http.StatusAccepted, status)
	b.send(t, "one")
	s.wants("event: next\ndata: {\"id\":\"1 \\\"ö\",\"payload\":{\"data\":{\"tick\":\"one\"}}}\n")
	status, _ = b.ask(t, http.MethodPost, token, "", operationBody("{ name }", `1 \"ö`))
	assert.Equal(t, http.StatusConflict, status, "the id is in use")

	status, _ = b.ask(t, http.MethodDelete, token, "operationId="+url.QueryEscape(`1 "ö`), "")
	assert.Equal(t, http.StatusOK, status)
	status, _ = b.ask(t, http.MethodGet, token, "query="+url.QueryEscape("{ name }")+"&extensions="+url.QueryEscape(`{"operationId":"1"}`), "")
	assert.Equal(t, http.StatusAccepted, status)
	s.wants("event: next\ndata: {\"id\":\"1\",\"payload\":{\"data\":{\"name\":\"onhand\"}}}\n") // nothing of the ended one
	s.wants("event: complete\ndata: {\"id\":\"1\"}\n")
}

// TestSingleConnectionRefusals: what is refused, and how.
func TestSingleConnectionRefusals(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	token := b.token(t)
	s := b.listen(t, "token="+token)
	s.wants(":\n")
	assert.Equal(t, http.StatusConflict, b.listen(t, "token="+token).response.StatusCode, "connected already")
	assert.Equal(t, http.StatusNotFound, b.listen(t, "token=unknown").response.StatusCode)
	for name, test := range map[string]struct {
		method, token, query, body string
		status                     int
	}{
		"unknown token":       {http.MethodPost, "unknown", "", operationBody("{ name }", "1"), http.StatusNotFound},
		"no id":               {http.MethodPost, token, "", `{"query":"{ name }"}`, http.StatusBadRequest},
		"id is a number":      {http.MethodPost, token, "", `{"query":"{ name }","extensions":{"operationId":1}}`, http.StatusBadRequest},
		"no JSON":             {http.MethodPost, token, "", `{`, http.StatusBadRequest},
		"invalid document":    {http.MethodPost, token, "", operationBody("{ nothing }", "1"), http.StatusBadRequest},
		"invalid once more":   {http.MethodPost, token, "", operationBody("{ nothing }", "1"), http.StatusBadRequest},
		"mutation over GET":   {http.MethodGet, token, "query=mutation{change}&extensions=" + url.QueryEscape(`{"operationId":"1"}`), "", http.StatusMethodNotAllowed},
		"end of nothing":      {http.MethodDelete, token, "", "", http.StatusBadRequest},
		"end of an old one":   {http.MethodDelete, token, "operationId=old", "", http.StatusOK},
		"end without a token": {http.MethodDelete, "", "operationId=old", "", http.StatusNotFound},
	} {
		status, body := b.ask(t, test.method, test.token, test.query, test.body)
		assert.Equal(t, test.status, status, "%s: %s", name, body)
		assert.Equal(t, status >= 400, strings.Contains(body, `"errors"`), name)
	}
}

// TestSingleConnectionBound: operations above the bound are refused.
func TestSingleConnectionBound(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	token := b.token(t)
	for i := range operationsMax {
		status, _ := b.ask(t, http.MethodPost, token, "", operationBody("subscription { hello }", strconv.Itoa(i)))
		require.Equal(t, http.StatusAccepted, status)
	}
	status, body := b.ask(t, http.MethodPost, token, "", operationBody("{ name }", "more"))
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Contains(t, body, "RATE_LIMITED")
}

// TestTokensAreBounded: tokens without a connection have a bound together.
func TestTokensAreBounded(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	b.singles.unconnected = unconnectedMax - 1
	token := b.token(t)
	status, body := b.ask(t, http.MethodPut, "", "", "")
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Contains(t, body, "RATE_LIMITED")
	b.listen(t, "token="+token).wants(":\n")
	b.token(t)
}

// TestTokenExpires: a token without a connection ends, with its operations.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, quick)
	token := b.token(t)
	status, _ := b.ask(t, http.MethodPost, token, "", operationBody("subscription { flood }", "1"))
	require.Equal(t, http.StatusAccepted, status)
	b.floodEnded(t)
	assert.Equal(t, http.StatusNotFound, b.listen(t, "token="+token).response.StatusCode)
}

// TestSingleConnectionEnds: with the connection the operations end, and the token.
func TestSingleConnectionEnds(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	token := b.token(t)
	s := b.listen(t, "token="+token)
	s.wants(":\n")
	status, _ := b.ask(t, http.MethodPost, token, "", operationBody("subscription { flood }", "1"))
	require.Equal(t, http.StatusAccepted, status)
	require.NoError(t, s.response.Body.Close())
	b.floodEnded(t)
	status, _ = b.ask(t, http.MethodPost, token, "", operationBody("{ name }", "2"))
	assert.Equal(t, http.StatusNotFound, status)
}

// TestSingleConnectionServerStops: the stream ends without "complete".
func TestSingleConnectionServerStops(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	b.token(t) // never connected
	token := b.token(t)
	s := b.listen(t, "token="+token)
	s.wants(":\n")
	status, _ := b.ask(t, http.MethodPost, token, "", operationBody("subscription { tick }", "1"))
	require.Equal(t, http.StatusAccepted, status)
	b.closing.Close()
	assert.Empty(t, s.rest())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	assert.True(t, b.closing.Wait(ctx))
}

// TestEventSource: a browser's EventSource sends GET with the operation in the URL.
func TestEventSource(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	s := b.listen(t, "query="+url.QueryEscape("subscription { tick }"))
	s.wants(":\n")
	b.send(t, "one")
	s.wants("event: next\ndata: {\"data\":{\"tick\":\"one\"}}\n")
	close(b.ticks)
	assert.Equal(t, "event: complete\ndata:\n\n", s.rest())

	s = b.listen(t, "query="+url.QueryEscape("{ nothing }"))
	assert.Equal(t, http.StatusOK, s.response.StatusCode)
	assert.Contains(t, s.rest(), "Cannot query field")
	assert.Equal(t, http.StatusMethodNotAllowed, b.listen(t, "query="+url.QueryEscape("mutation { change }")).response.StatusCode)
	assert.Equal(t, http.StatusBadRequest, b.listen(t, "").response.StatusCode)
}
