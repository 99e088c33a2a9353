package serving

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/tokens"
	"onhand/graph/transport"
	"onhand/store"
)

// tokenServer is a whole server that checks tokens, on a port of its own.
type tokenServer struct {
	url     string
	revoked string // the file of revoked tokens
}

func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	s := &tokenServer{revoked: filepath.Join(t.TempDir(), "revoked")}
	require.NoError(t, os.WriteFile(s.revoked, nil, 0o600))
	settings := usable(IdentitySettings{AuthSecret: testSecret, AuthRevokedFile: s.revoked})
	bearer, closeBearer, err := settings.bearer(t.Context(), nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	closing := transport.NewClosing()
	server := httptest.NewUnstartedServer(routes(st, closing, slog.New(slog.DiscardHandler), routeConfig{sites: localSites(t), bearer: bearer}))
	server.Config.ConnContext = transport.ConnContext
	server.Start()
	s.url = server.URL + "/graphql"
	t.Cleanup(func() {
		closing.Close()
		server.Close()
		closeBearer()
	})
	return s
}

// token is one that the server accepts for this long, the leeway included.
func (s *tokenServer) token(t *testing.T, validFor time.Duration, scopes ...guard.Scope) string {
	t.Helper()
	text, err := tokens.Mint([]byte(testSecret), tokens.NewToken{Subject: "shopper", Scopes: scopes, Lifetime: time.Hour}, time.Now().Add(validFor-tokens.Leeway-time.Hour))
	require.NoError(t, err)
	return text
}

// revoke revokes a token.
func (s *tokenServer) revoke(t *testing.T, token string) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	var claims struct {
		ID string `json:"jti"`
	}
	require.NoError(t, json.Unmarshal(raw, &claims))
	require.NoError(t, os.WriteFile(s.revoked+".new", []byte(claims.ID+"\n"), 0o600))
	require.NoError(t, os.Rename(s.revoked+".new", s.revoked))
}

const watchTokens = `{"query":"subscription { stockChanged(productIds: [\"22423\"]) { productId quantityAvailable onHand } }"}`

// socket opens a WebSocket, and returns the first answer to connection_init.
func (s *tokenServer) socket(t *testing.T, header http.Header, payload string) (*websocket.Conn, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: header})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(`{"type":"connection_init","payload":`+payload+`}`)))
	_, message, err := conn.Read(ctx)
	return conn, string(message), err
}

// TestSocketTokens: the token of a WebSocket is in connection_init or in the handshake. A bad
// one, and the end of a good one, close the socket with 4403.
func TestSocketTokens(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	good := s.token(t, time.Hour, guard.ReadInventory)
	for name, test := range map[string]struct {
		header, payload string
		refused         bool
		onHand          string
	}{
		"none":          {"", `{}`, false, `"onHand":null`},
		"authorization": {"", `{"authorization":"Bearer ` + good + `"}`, false, `"onHand":58`},
		"token":         {"", `{"token":"` + good + `"}`, false, `"onHand":58`},
		"header":        {"Bearer " + good, `null`, false, `"onHand":58`},
		"bad":           {"", `{"Authorization":"Bearer x` + good + `"}`, true, ""},
		"bad header":    {"Bearer x" + good, `{}`, true, ""},
	} {
		header := http.Header{}
		if test.header != "" {
			header.Set("Authorization", test.header)
		}
		conn, message, err := s.socket(t, header, test.payload)
		if test.refused {
			assert.Equal(t, websocket.StatusCode(4403), websocket.CloseStatus(err), name)
			continue
		}
		require.NoError(t, err, name)
		assert.JSONEq(t, `{"type":"connection_ack"}`, message, name)
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"id":"1","type":"subscribe","payload":`+watchTokens+`}`)))
		_, event, err := conn.Read(t.Context())
		require.NoError(t, err, name)
		assert.Contains(t, string(event), test.onHand, name)
	}
}

// TestSocketsEndWithTheirToken: a socket is closed with 4403 when its token expires or is
// revoked, and not before.
func TestSocketsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	short := s.token(t, 3*time.Second)
	conn, _, err := s.socket(t, nil, `{"token":"`+short+`"}`)
	require.NoError(t, err)
	began := time.Now()
	_, _, err = conn.Read(t.Context())
	assert.Equal(t, websocket.StatusCode(4403), websocket.CloseStatus(err))
	assert.Greater(t, time.Since(began), time.Second)
	_, _, err = s.socket(t, nil, `{"token":"`+short+`"}`)
	assert.Equal(t, websocket.StatusCode(4403), websocket.CloseStatus(err), "it has expired")

	long := s.token(t, time.Hour)
	conn, _, err = s.socket(t, nil, `{"token":"`+long+`"}`)
	require.NoError(t, err)
	s.revoke(t, long)
	_, _, err = conn.Read(t.Context())
	assert.Equal(t, websocket.StatusCode(4403), websocket.CloseStatus(err))
}

// events posts a request to an event stream. It returns the lines until the stream ends.
func (s *tokenServer) events(t *testing.T, token string, header http.Header, body string) (status int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	if header != nil {
		r.Header = header
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(raw)
}

// TestEventStreamsEndWithTheirToken: an event stream gets an error and "complete" when its
// token expires.
func TestEventStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	short := s.token(t, 2*time.Second, guard.ReadInventory)
	status, text := s.events(t, short, nil, watchTokens)
	assert.Equal(t, http.StatusOK, status)
	events := strings.Split(strings.TrimSpace(text), "\n\n")
	require.GreaterOrEqual(t, len(events), 4, text)
	assert.Contains(t, events[1], `"onHand":58`)
	assert.Contains(t, events[len(events)-2], `"code":"UNAUTHENTICATED"`)
	assert.Contains(t, events[len(events)-1], "event: complete")

	status, text = s.events(t, short, nil, watchTokens)
	assert.Equal(t, http.StatusUnauthorized, status)
	assert.Contains(t, text, `"code":"UNAUTHENTICATED"`)
}

// TestSingleConnectionsEndWithTheirToken: in the single connection mode each operation ends
// with the token that it was sent with.
func TestSingleConnectionsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	long := s.token(t, time.Hour)
	send := func(method, bearer, stream, accept, body string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, s.url, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+bearer)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", accept)
		if stream != "" {
			r.Header.Set("X-GraphQL-Event-Stream-Token", stream)
		}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	issued, err := io.ReadAll(send(http.MethodPut, long, "", "*/*", "").Body)
	require.NoError(t, err)
	stream := bufio.NewReader(send(http.MethodGet, long, string(issued), "text/event-stream", "").Body)
	body := strings.TrimSuffix(watchTokens, "}") + `,"extensions":{"operationId":"op"}}`
	accepted := send(http.MethodPost, s.token(t, 2*time.Second), string(issued), "*/*", body)
	require.Equal(t, http.StatusAccepted, accepted.StatusCode)
	var last string
	for !strings.Contains(last, "event: complete") {
		line, err := stream.ReadString('\n')
		require.NoError(t, err)
		if strings.HasPrefix(line, "data:") || strings.HasPrefix(line, "event: complete") {
			if strings.HasPrefix(line, "event: complete") {
				assert.Contains(t, last, `"code":"UNAUTHENTICATED"`)
			}
			last = line
		}
	}
}
