package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
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
)

// TestMain looks for goroutines that nobody ended.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// quick are limits for tests that wait for them; patient, for those that do not.
var (
	quick   = limits{write: 200 * time.Millisecond, message: patience, init: 100 * time.Millisecond, ping: 50 * time.Millisecond, keepAlive: 50 * time.Millisecond}
	patient = limits{write: patience, message: patience, init: patience, ping: patience, keepAlive: patience}
)

// bench is a server with a small schema: the query name answers at once, the
// subscription tick when the test sends, hello once and then nothing, flood as
// much as the client takes.
type bench struct {
	url     string
	closing *Closing
	ticks   chan string
	floods  chan struct{} // one for each flood that has ended
	given   atomic.Int64  // events of floods
}

// floodBytes is one event of the subscription flood.
const floodBytes = 1 << 20

func newBench(t *testing.T, limits limits) *bench {
	t.Helper()
	return newBenchOn(t, limits, &http.Server{})
}

// newBenchOn is newBench with an HTTP server's own settings.
func newBenchOn(t *testing.T, limits limits, settings *http.Server) *bench {
	t.Helper()
	b := &bench{closing: NewClosing(), ticks: make(chan string), floods: make(chan struct{}, 10)}
	api := handler.New(b.schema())
	api.AddTransport(webSocket(b.closing, []string{"friend.example"}, limits))
	api.AddTransport(sse(b.closing, limits))
	api.AddTransport(HTTP{})
	api.AddTransport(Unsupported{})
	server := httptest.NewUnstartedServer(api)
	server.Config.ConnContext = ConnContext
	server.Config.ReadTimeout, server.Config.WriteTimeout = settings.ReadTimeout, settings.WriteTimeout
	server.Start()
	b.url = server.URL
	t.Cleanup(func() {
		b.closing.Close()
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return b
}

func (b *bench) schema() graphql.ExecutableSchema {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `type Query { name: String! empty: String! refused: String! } type Subscription { tick: String! hello: String! flood: String! }`})
	return &graphql.ExecutableSchemaMock{
		SchemaFunc:     func() *ast.Schema { return schema },
		ComplexityFunc: func(context.Context, string, string, int, map[string]any) (int, bool) { return 1, true },
		ExecFunc: func(ctx context.Context) graphql.ResponseHandler {
			switch graphql.GetOperationContext(ctx).Operation.SelectionSet[0].(*ast.Field).Name {
			case "empty": // executed, and nothing came of it
				return graphql.OneShot(&graphql.Response{Data: []byte("null"), Errors: gqlerror.List{{Message: "oh"}}})
			case "refused": // not executed
				return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{{Message: "no"}}})
			case "name":
				return graphql.OneShot(&graphql.Response{Data: []byte(`{"name":"onhand"}`)})
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

func (b *bench) tick(ctx context.Context) *graphql.Response {
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

func (b *bench) flood(context.Context) *graphql.Response {
	b.given.Add(1)
	return &graphql.Response{Data: []byte(`{"flood":"` + strings.Repeat("x", floodBytes) + `"}`)}
}

// send makes the subscription tick.
func (b *bench) send(t *testing.T, value string) {
	t.Helper()
	select {
	case b.ticks <- value:
	case <-time.After(patience):
		require.Fail(t, "nobody takes the tick")
	}
}

// floodEnded waits for a flood's end.
func (b *bench) floodEnded(t *testing.T) {
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

func (b *bench) dial(t *testing.T, protocols ...string) *peer {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), b.url, &websocket.DialOptions{Subprotocols: protocols})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &peer{t: t, conn: conn}
}

// connect dials and says hello.
func (b *bench) connect(t *testing.T) *peer {
	t.Helper()
	p := b.dial(t, subprotocol)
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

// closed reads up to the end and returns the close code and what came before,
// by type.
func (p *peer) closed() (code websocket.StatusCode, types []string) {
	p.t.Helper()
	for {
		text, err := p.next()
		if err != nil {
			require.NotErrorIs(p.t, err, context.DeadlineExceeded, "the server keeps the connection open")
			return websocket.CloseStatus(err), types
		}
		var m message
		require.NoError(p.t, json.Unmarshal([]byte(text), &m))
		types = append(types, m.Type)
	}
}
