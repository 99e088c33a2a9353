package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/transport/admission"
)

// eventClient is a client's end of an event stream.
type eventClient struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Reader
}

func (b *testServer) stream(t *testing.T, body string) *eventClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	response, err := b.client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return &eventClient{t: t, response: response, lines: bufio.NewReader(response.Body)}
}

// wants reads one block, up to an empty line, and ignores pings.
func (s *eventClient) wants(block string) {
	s.t.Helper()
	for {
		got := s.block()
		if got != ": ping\n" {
			require.Equal(s.t, block, got)
			return
		}
	}
}

func (s *eventClient) block() string {
	s.t.Helper()
	var block strings.Builder
	for {
		line, err := s.lines.ReadString('\n')
		require.NoError(s.t, err, "the stream ended after %q", block.String()+line)
		if line == "\n" {
			return block.String()
		}
		block.WriteString(line)
	}
}

// rest reads until the stream ends.
func (s *eventClient) rest() string {
	s.t.Helper()
	rest, err := io.ReadAll(s.lines)
	require.NoError(s.t, err, "the stream failed after %q", rest)
	return string(rest)
}

const tickRequest = `{"query":"subscription { tick }"}`

// TestSSESubscription: "next" for each result, "complete" with an empty data field after
// the last, and the headers of an event stream.
func TestSSESubscription(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	s := b.stream(t, tickRequest)
	assert.Equal(t, http.StatusOK, s.response.StatusCode)
	assert.Equal(t, "text/event-stream", s.response.Header.Get("Content-Type"))
	assert.Equal(t, "private, no-cache", s.response.Header.Get("Cache-Control"))
	assert.Equal(t, "no", s.response.Header.Get("X-Accel-Buffering"))
	s.wants(":\n")
	b.send(t, "one")
	s.wants("event: next\ndata: {\"data\":{\"tick\":\"one\"}}\n")
	b.send(t, "two")
	s.wants("event: next\ndata: {\"data\":{\"tick\":\"two\"}}\n")
	close(b.ticks)
	assert.Equal(t, "event: complete\ndata:\n\n", s.rest())
}

// TestSSEQuery: one result and "complete". Errors of a document come as a result too,
// because a browser's EventSource shows no other answer.
func TestSSEQuery(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	s := b.stream(t, `{"query":"{ name }"}`)
	assert.Equal(t, ":\n\nevent: next\ndata: {\"data\":{\"name\":\"onhand\"}}\n\nevent: complete\ndata:\n\n", s.rest())
	s = b.stream(t, `{"query":"{ nothing }"}`)
	assert.Equal(t, http.StatusOK, s.response.StatusCode)
	rest := s.rest()
	assert.Contains(t, rest, "event: next\ndata: {\"errors\":[")
	assert.True(t, strings.HasSuffix(rest, "}\n\nevent: complete\ndata:\n\n"), rest)
	assert.NotContains(t, rest, `"data":`, "a refusal has no data")
	for _, invalid := range []string{``, `{"query":`, `{"query":5}`, `{"query":"{ name }","variables":[]}`} {
		s = b.stream(t, invalid)
		assert.Equal(t, http.StatusBadRequest, s.response.StatusCode, invalid)
		assert.Equal(t, "application/json; charset=utf-8", s.response.Header.Get("Content-Type"))
		assert.JSONEq(t, `{"errors":[{"message":"the request's body is no GraphQL request in JSON","extensions":{"code":"BAD_USER_INPUT"}}]}`, s.rest())
	}
}

// TestSSEKeepAlive: a stream without events gets a comment in each interval.
func TestSSEKeepAlive(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, quick).stream(t, tickRequest)
	assert.Equal(t, ":\n", s.block())
	assert.Equal(t, ": ping\n", s.block())
	assert.Equal(t, ": ping\n", s.block())
}

// TestSSEOutlivesServerTimeouts: http.Server's timeouts do not end a stream.
func TestSSEOutlivesServerTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newTestServerOn(t, quick, testSettings{timeout: 300 * time.Millisecond, virtual: true})
		s := b.stream(t, tickRequest)
		s.wants(":\n")
		for range 18 { // three times as long
			require.Equal(t, ": ping\n", s.block())
		}
		b.send(t, "late")
		s.wants("event: next\ndata: {\"data\":{\"tick\":\"late\"}}\n")
	})
}

// TestSSEServerStops: streams end without "complete", so that clients reconnect, and so
// does a stream that begins while the server stops.
func TestSSEServerStops(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	s := b.stream(t, tickRequest)
	b.send(t, "one")
	s.wants(":\n")
	s.wants("event: next\ndata: {\"data\":{\"tick\":\"one\"}}\n")
	b.closing.Close()
	assert.Empty(t, s.rest())
	assert.Empty(t, b.stream(t, tickRequest).rest())
}

// TestSSEStuckClient: a client that stops reading is cut off after the write deadline,
// and other streams continue.
func TestSSEStuckClient(t *testing.T) {
	t.Parallel()
	limits := patient
	limits.write = quick.write
	b := newTestServer(t, limits)
	other := b.stream(t, tickRequest)
	other.wants(":\n")
	address := strings.TrimPrefix(b.url, "http://")
	stuck, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer stuck.Close()
	const body = `{"query":"subscription { flood }"}`
	_, err = io.WriteString(stuck, "POST / HTTP/1.1\r\nHost: "+address+"\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: 34\r\n\r\n"+body)
	require.NoError(t, err)
	b.send(t, "during")
	other.wants("event: next\ndata: {\"data\":{\"tick\":\"during\"}}\n")
	b.floodEnded(t)
	b.send(t, "after")
	other.wants("event: next\ndata: {\"data\":{\"tick\":\"after\"}}\n")
}

// TestSSEClientLeaves: its subscription ends.
func TestSSEClientLeaves(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	s := b.stream(t, `{"query":"subscription { flood }"}`)
	s.wants(":\n")
	require.NoError(t, s.response.Body.Close())
	b.floodEnded(t)
}

// TestSSENoWriteAfterHandler: nothing is written after the handler has returned.
func TestSSENoWriteAfterHandler(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	s := events{newStreams(NewClosing(), admission.StreamBounds{}, patient)}.open(t.Context(), recorder)
	assert.True(t, s.write([]byte("data: 1\n\n")))
	s.end()
	assert.False(t, s.write([]byte(": ping\n\n")))
	s.tick(time.Now().Add(time.Hour))
	assert.Equal(t, ":\n\ndata: 1\n\n", recorder.Body.String())
}

// TestSSEFailedWrite: a failed write ends the stream's context, and nothing more is
// written.
func TestSSEFailedWrite(t *testing.T) {
	t.Parallel()
	failing := &failingWriter{}
	s := events{newStreams(NewClosing(), admission.StreamBounds{}, patient)}.open(t.Context(), failing)
	defer s.end()
	require.Error(t, s.ctx.Err())
	assert.False(t, s.write([]byte("data: 2\n\n")))
	assert.Equal(t, 1, failing.writes)
}

// failingWriter is the connection of a client that has gone.
type failingWriter struct {
	writes int
}

// Header implements http.ResponseWriter.
func (*failingWriter) Header() http.Header { return http.Header{} }

// WriteHeader implements http.ResponseWriter.
func (*failingWriter) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (w *failingWriter) Write([]byte) (int, error) {
	w.writes++
	return 0, io.ErrClosedPipe
}

// TestUnsupportedRequests: other methods and media types are refused.
func TestUnsupportedRequests(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	for _, test := range []struct {
		method, kind string
		status       int
	}{
		{http.MethodPost, "text/plain", http.StatusUnsupportedMediaType},
		{http.MethodPost, "", http.StatusUnsupportedMediaType},
		{http.MethodPatch, "application/json", http.StatusMethodNotAllowed},
		{http.MethodDelete, "", http.StatusNotFound}, // without a token
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, b.url, strings.NewReader(`{"query":"{ name }"}`))
		require.NoError(t, err)
		r.Header.Set("Content-Type", test.kind)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, test.status, response.StatusCode, "%s %s", test.method, test.kind)
		assert.Contains(t, string(body), `"code":"BAD_USER_INPUT"`)
	}
}
