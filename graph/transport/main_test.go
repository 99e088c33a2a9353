package transport

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.uber.org/goleak"

	"onhand/graph/guard"
	"onhand/graph/transport/admission"
	"onhand/graph/transport/protocol"
)

// TestMain fails on leaked goroutines.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds how long a test waits for an event.
const patience = 20 * time.Second

// quick are limits for tests that wait for a limit to pass, patient for all others.
var (
	quick   = limits{write: 200 * time.Millisecond, message: patience, init: 100 * time.Millisecond, ping: 50 * time.Millisecond, keepAlive: 50 * time.Millisecond, connect: 400 * time.Millisecond, refused: patience, flood: patience, lifetime: time.Hour}
	patient = limits{write: patience, message: patience, init: patience, ping: patience, keepAlive: patience, connect: patience, refused: patience, flood: patience, lifetime: time.Hour}
)

// operationsMax and messageBytesMax are defaults.
var operationsMax, messageBytesMax = admission.DefaultStreamBounds().Operations, admission.DefaultStreamBounds().MessageBytes

// testServer is a server with a small schema. The query name answers at once. The
// subscription tick answers when the test sends a value, hello once, and flood as fast
// as the client reads.
type testServer struct {
	url     string
	client  *http.Client
	pipes   *pipes // nil for connections of the system
	closing *Closing
	ticks   chan string
	floods  chan struct{} // gets a value for each flood that ends
	flooded atomic.Int64  // events of floods

	singles *singleConnections
	sources chan *testSource
}

// floodBytes is one event of the subscription flood.
const floodBytes = 1 << 20

func newTestServer(t *testing.T, limits limits) *testServer {
	t.Helper()
	return newTestServerOn(t, limits, testSettings{})
}

// friends allows programs, and the pages of one origin.
func friends(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || origin == "https://friend.example"
}

// testSettings are what tests set of a server.
type testSettings struct {
	timeout time.Duration // of the HTTP server, for reading and for writing; 0 for none
	admit   ConnectFunc
	bounds  admission.StreamBounds
	charge  guard.BodyCharge
	virtual bool // connections are in memory, so that the clock of testing/synctest runs

	protocols *http.Protocols // nil for those of HTTP/1.1
}

// newTestServerOn is newTestServer with settings.
func newTestServerOn(t *testing.T, limits limits, settings testSettings) *testServer {
	t.Helper()
	b := &testServer{closing: NewClosing(), ticks: make(chan string), floods: make(chan struct{}, 10), sources: make(chan *testSource, 1), client: http.DefaultClient}
	streams := newStreams(b.closing, settings.bounds, limits)
	b.singles = streams.singleConnections()
	api := handler.New(b.schema())
	api.AddTransport(streams.WebSocket(friends, settings.admit))
	api.AddTransport(b.singles)
	api.AddTransport(HTTP{Events: streams.SSE()})
	api.AddTransport(Unsupported{})
	server := httptest.NewUnstartedServer(guard.WithAddress(guard.Body(api, settings.charge), guard.Proxies{}))
	server.Config.ConnContext = ConnContext
	server.Config.ReadTimeout, server.Config.WriteTimeout = settings.timeout, settings.timeout
	server.Config.Protocols = settings.protocols
	if settings.virtual {
		require.NoError(t, server.Listener.Close())
		b.pipes = &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server.Listener = b.pipes
		b.client = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return b.pipes.dial() }}}
	}
	server.Start()
	b.url = server.URL
	t.Cleanup(func() {
		b.closing.Close()
		b.client.CloseIdleConnections()
		server.Close()
	})
	return b
}

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (b *testServer) schema() graphql.ExecutableSchema {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `type Query { name: String! awaited: String! empty: String! refused: String! panics: String! } type Mutation { change: String! } type Subscription { tick: String! hello: String! flood: String! pushed: String! }`})
	return &graphql.ExecutableSchemaMock{
		SchemaFunc:     func() *ast.Schema { return schema },
		ComplexityFunc: func(context.Context, string, string, int, map[string]any) (int, bool) { return 1, true },
		ExecFunc: func(ctx context.Context) graphql.ResponseHandler {
			switch graphql.GetOperationContext(ctx).Operation.SelectionSet[0].(*ast.Field).Name {
			case "empty": // executed, with null data
				return graphql.OneShot(&graphql.Response{Data: []byte("null"), Errors: gqlerror.List{{Message: "oh"}}})
			case "refused": // not executed
				return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{{Message: "no"}}})
			case "name":
				return graphql.OneShot(&graphql.Response{Data: []byte(`{"name":"onhand"}`)})
			case "awaited": // by the test
				return b.awaited()
			case "panics":
				panic("boom")
			case "pushed":
				if b.openSource(ctx) {
					return func(context.Context) *graphql.Response { return nil }
				}
				return hello()
			case "hello":
				return hello()
			case "flood":
				context.AfterFunc(ctx, func() { b.floods <- struct{}{} })
				return b.flood
			}
			return b.tick
		},
	}
}

func (b *testServer) tick(ctx context.Context) *graphql.Response {
	select {
	case value, more := <-b.ticks:
		if !more {
			return nil
		}
		return &graphql.Response{Data: []byte(`{"tick":"` + value + `"}`)}
	case <-ctx.Done():
		return nil
	}
}

// awaited answers once, when the test sends a value.
func (b *testServer) awaited() graphql.ResponseHandler {
	answered := false
	return func(context.Context) *graphql.Response {
		if answered {
			return nil
		}
		answered = true
		return &graphql.Response{Data: []byte(`{"awaited":"` + <-b.ticks + `"}`)}
	}
}

func hello() graphql.ResponseHandler {
	said := false
	return func(ctx context.Context) *graphql.Response {
		if said {
			<-ctx.Done()
			return nil
		}
		said = true
		return &graphql.Response{Data: []byte(`{"hello":"you"}`)}
	}
}

func (b *testServer) flood(context.Context) *graphql.Response {
	b.flooded.Add(1)
	return &graphql.Response{Data: []byte(`{"flood":"` + strings.Repeat("x", floodBytes) + `"}`)}
}

// send makes the subscription tick answer.
func (b *testServer) send(t *testing.T, value string) {
	t.Helper()
	select {
	case b.ticks <- value:
	case <-time.After(patience):
		require.Fail(t, "no subscription takes the tick")
	}
}

// floodEnded waits until a flood has ended.
func (b *testServer) floodEnded(t *testing.T) {
	t.Helper()
	select {
	case <-b.floods:
	case <-time.After(patience):
		require.Fail(t, "the flood goes on")
	}
}

// peer is a client's end of a socket.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

func (b *testServer) dial(t *testing.T, protocols ...string) *peer {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), b.url, &websocket.DialOptions{Subprotocols: protocols, HTTPClient: b.client})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &peer{t: t, conn: conn}
}

// connect dials and sends connection_init.
func (b *testServer) connect(t *testing.T) *peer {
	t.Helper()
	p := b.dial(t, protocol.Subprotocol)
	p.send(`{"type":"connection_init"}`)
	require.Equal(t, `{"type":"connection_ack"}`, p.read())
	return p
}

func (p *peer) send(text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(p.t, p.conn.Write(ctx, websocket.MessageText, []byte(text)))
}

func (p *peer) next() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := p.conn.Read(ctx)
	return string(data), err
}

func (p *peer) read() string {
	p.t.Helper()
	text, err := p.next()
	require.NoError(p.t, err)
	return text
}

// wants reads one message and compares it as JSON.
func (p *peer) wants(text string) {
	p.t.Helper()
	require.JSONEq(p.t, text, p.read())
}

// closed reads until the connection ends. It returns the close code and the types of
// the messages before it. Only the last message may be cut off.
func (p *peer) closed() (code websocket.StatusCode, types []string) {
	p.t.Helper()
	var broken error
	for {
		text, err := p.next()
		if err != nil {
			require.NotErrorIs(p.t, err, context.DeadlineExceeded, "the server keeps the connection open")
			return websocket.CloseStatus(err), types
		}
		require.NoError(p.t, broken)
		var m struct{ Type string }
		if broken = json.Unmarshal([]byte(text), &m); broken == nil {
			types = append(types, m.Type)
		}
	}
}
