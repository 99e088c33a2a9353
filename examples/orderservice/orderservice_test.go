package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// generous bounds waiting on a busy machine.
const generous = 60 * time.Second

// secret is of the tests' server alone.
const secret = "only-for-the-tests-of-the-example-0123456789"

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// onhand is a server process with a database of its own.
type onhand struct {
	t       *testing.T
	program string
	home    string
	address string
	admin   string
	process *exec.Cmd
	token   string
}

// startOnhand builds and starts the server of this repository.
func startOnhand(t *testing.T) *onhand {
	t.Helper()
	home := t.TempDir()
	s := &onhand{t: t, home: home, program: filepath.Join(home, "onhand"), address: freeAddress(t), admin: freeAddress(t)}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.program, ".")
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	token := exec.CommandContext(t.Context(), s.program, "token", "orders", "--scope", "read:orders,write:orders,read:inventory")
	token.Env = append(os.Environ(), "AUTH_SECRET="+secret)
	out, err = token.Output()
	require.NoError(t, err)
	s.token = strings.TrimSpace(string(out))
	s.start()
	t.Cleanup(s.kill)
	return s
}

// nextPort is the port that freeAddress tries next.
var nextPort = 20_000 + os.Getpid()%5_000

// freeAddress returns a loopback address below the ports that the kernel gives to clients,
// another one each time.
func freeAddress(t *testing.T) string {
	t.Helper()
	for nextPort < 32_000 {
		nextPort++
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", nextPort)); err == nil {
			require.NoError(t, l.Close())
			return l.Addr().String()
		}
	}
	t.Fatal("no free port below 32000")
	return ""
}

func (s *onhand) start() {
	s.t.Helper()
	s.process = exec.Command(s.program)
	s.process.Env = append(os.Environ(), "AUTH_SECRET="+secret, "LISTEN_ADDR="+s.address, "ADMIN_ADDR="+s.admin,
		"XDG_DATA_HOME="+filepath.Join(s.home, "data"), "LOG_LEVEL=error") // without DATABASE_URL: with the demo shop
	s.process.Stdout, s.process.Stderr = os.Stderr, os.Stderr
	require.NoError(s.t, s.process.Start())
	require.Eventually(s.t, func() bool {
		r, err := http.Get("http://" + s.address + "/readyz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	}, generous, 20*time.Millisecond, "the server does not start")
}

// kill ends the server as a crash does.
func (s *onhand) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func (s *onhand) url() string { return "http://" + s.address + "/graphql" }

// ask sends a document as the order service.
func (s *onhand) ask(document string) map[string]any {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"query": document})
	require.NoError(s.t, err)
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url(), bytes.NewReader(body))
	require.NoError(s.t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := withToken{token: s.token, next: http.DefaultClient}.Do(request)
	require.NoError(s.t, err)
	defer response.Body.Close()
	var answer struct {
		Data   map[string]any
		Errors []any
	}
	require.NoError(s.t, json.NewDecoder(response.Body).Decode(&answer))
	require.Empty(s.t, answer.Errors)
	return answer.Data
}

// reserve makes the cart of a shopper and returns the id of its reservation.
func (s *onhand) reserve(cart string, lines string) string {
	s.t.Helper()
	data := s.ask(fmt.Sprintf(`mutation { reserveStock(input: {idempotencyKey: "%s", ownerRef: "%s", lines: [%s]}) { reservation { id } errors { message } } }`, cart, cart, lines))
	return data["reserveStock"].(map[string]any)["reservation"].(map[string]any)["id"].(string)
}

// level returns units of a product over all locations: on hand and committed.
func (s *onhand) level(product string) (onHand, committed int) {
	s.t.Helper()
	stock := s.ask(`{ stock(productId: "` + product + `") { onHand committed } }`)["stock"].(map[string]any)
	return int(stock["onHand"].(float64)), int(stock["committed"].(float64))
}

// losesAnswers is a way to the server that delivers each request and loses each second
// answer. It returns the URL.
func losesAnswers(t *testing.T, server *onhand) string {
	t.Helper()
	var answers atomic.Int64
	way := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: server.address})
			r.Out.Host = ""
		},
		FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			if r.Header.Get("Content-Type") != "text/event-stream" && answers.Add(1)%2 == 0 {
				return errors.New("lost")
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	})
	t.Cleanup(func() { way.CloseClientConnections(); way.Close() })
	return way.URL + "/graphql"
}

// service is the example with its API.
type service struct {
	t      *testing.T
	orders *orders
	api    *httptest.Server
	stop   func()
}

func startService(t *testing.T, path, onhandURL, token string) *service {
	t.Helper()
	o, err := openOrders(t.Context(), path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := start(ctx, o, onhandURL, withToken{token: token, next: &http.Client{Transport: &http.Transport{}}})
	s := &service{t: t, orders: o, api: httptest.NewServer(routes(o))}
	s.stop = sync.OnceFunc(func() { cancel(); stopped(); s.api.Close(); require.NoError(t, o.Close()) })
	t.Cleanup(s.stop)
	return s
}

// send sends a request to the service's API and returns its status.
func (s *service) send(method, path, body string) int {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.api.URL+path, strings.NewReader(body))
	require.NoError(s.t, err)
	response, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close()
	return response.StatusCode
}

// reaches waits until an order has a state.
func (s *service) reaches(ref, state string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		now, _, err := s.orders.state(s.t.Context(), ref)
		return err == nil && now == state
	}, generous, 10*time.Millisecond, "order %s does not become %s", ref, state)
}

// Orders take effect once, while answers are lost, the server dies and the service
// restarts; and the ledger is followed without a gap.
func TestOrdersTakeEffectOnce(t *testing.T) {
	server := startOnhand(t)
	way := losesAnswers(t, server)
	file := filepath.Join(t.TempDir(), "orders.db")
	s := startService(t, file, way, server.token)
	require.Eventually(t, func() bool { at, err := s.orders.position(t.Context()); return err == nil && at != nil }, generous, 10*time.Millisecond)
	onHand, _ := server.level("84879")

	const placed = 20
	for i := range placed {
		ref := fmt.Sprint("o", i)
		id := server.reserve("cart-"+ref, `{productId: "84879", quantity: 2}`)
		require.Equal(t, http.StatusAccepted, s.send(http.MethodPut, "/orders/"+ref, `{"reservationId": "`+id+`"}`))
		require.Equal(t, http.StatusAccepted, s.send(http.MethodPut, "/orders/"+ref, `{"reservationId": "`+id+`"}`), "a repeat")
		switch i {
		case 5:
			server.kill()
			server.start()
		case 10:
			s.stop()
			s = startService(t, file, way, server.token)
		}
	}
	require.Equal(t, http.StatusConflict, s.send(http.MethodPut, "/orders/o0", `{"reservationId": "res_00000000000000000000000000000000"}`))
	for i := range placed {
		s.reaches(fmt.Sprint("o", i), "committed")
	}
	now, committed := server.level("84879")
	assert.Equal(t, onHand, now)
	assert.Equal(t, 2*placed, committed)

	for i := range placed / 2 { // one unit of each leaves, the other is cancelled
		path := fmt.Sprint("/orders/o", i)
		require.Equal(t, http.StatusAccepted, s.send(http.MethodPut, path+"/parcels/1", `{"lines": [{"productId": "84879", "quantity": 1}]}`))
		require.Equal(t, http.StatusAccepted, s.send(http.MethodDelete, path, ""))
	}
	server.kill()
	server.start()
	for i := range placed / 2 {
		s.reaches(fmt.Sprint("o", i), "fulfilled")
	}
	now, committed = server.level("84879")
	assert.Equal(t, onHand-placed/2, now)
	assert.Equal(t, placed, committed)
	require.Eventually(t, func() bool {
		units, err := s.orders.orderedUnits(t.Context(), "84879")
		return err == nil && units == committed
	}, generous, 10*time.Millisecond, "the ledger that was followed and the stock differ")
}

// An order whose units are gone is refused, with the reason; unknown orders are not found.
func TestRefusedOrder(t *testing.T) {
	server := startOnhand(t)
	s := startService(t, filepath.Join(t.TempDir(), "orders.db"), server.url(), server.token)
	require.Equal(t, http.StatusAccepted, s.send(http.MethodPut, "/orders/lost", `{"reservationId": "res_00000000000000000000000000000000"}`))
	s.reaches("lost", "refused")
	_, why, err := s.orders.state(t.Context(), "lost")
	require.NoError(t, err)
	assert.Contains(t, why, "NOT_FOUND")
	assert.Equal(t, http.StatusConflict, s.send(http.MethodDelete, "/orders/lost", ""))
	assert.Equal(t, http.StatusNotFound, s.send(http.MethodDelete, "/orders/none", ""))
	assert.Equal(t, http.StatusNotFound, s.send(http.MethodGet, "/orders/none", ""))
	assert.Equal(t, http.StatusBadRequest, s.send(http.MethodPut, "/orders/x", "no JSON"))
}

// The wait between attempts follows retryAfterMs, and is bounded.
func TestPauseAfter(t *testing.T) {
	t.Parallel()
	for attempts := range 100 {
		assert.LessOrEqual(t, pauseAfter(io.EOF, attempts), retryMax)
		assert.Positive(t, pauseAfter(io.EOF, attempts))
	}
	fault := &graphql.HTTPError{StatusCode: http.StatusServiceUnavailable, Response: graphql.Response{
		Errors: gqlerror.List{{Extensions: map[string]any{"code": "UNAVAILABLE", "retryAfterMs": 4000.0}}}}}
	pause := pauseAfter(fault, 0)
	assert.True(t, pause >= 2*time.Second && pause <= 4*time.Second, pause)
}

// Two orders whose references and parcels read alike have steps of their own. A repeat has
// none, also after the step is done.
func TestStepsAreOfOneOrder(t *testing.T) {
	t.Parallel()
	o, err := openOrders(t.Context(), filepath.Join(t.TempDir(), "orders.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	steps := func() (n int) {
		require.NoError(t, o.db.QueryRowContext(t.Context(), `SELECT count(*) FROM outbox WHERE done = 0`).Scan(&n))
		return n
	}
	require.NoError(t, o.place(t.Context(), "7", "res_a"))
	require.NoError(t, o.place(t.Context(), "7-parcel-1", "res_b"))
	require.NoError(t, o.ship(t.Context(), "7", "1-parcel-2", nil))
	require.NoError(t, o.ship(t.Context(), "7-parcel-1", "2", nil))
	require.NoError(t, o.ship(t.Context(), "7", "1-parcel-2", nil))
	require.Equal(t, 4, steps())
	for left := 4; left > 0; left-- {
		due, err := o.due(t.Context(), time.Now())
		require.NoError(t, err)
		require.NoError(t, o.done(t.Context(), due, "committed"))
		require.Equal(t, left-1, steps())
	}
	require.NoError(t, o.ship(t.Context(), "7", "1-parcel-2", nil))
	require.Zero(t, steps())
}

// A request that Onhand can never take is refused, and is not sent for ever.
func TestWrongStep(t *testing.T) {
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"errors": [{"message": "the key is too long", "extensions": {"code": "BAD_USER_INPUT"}}], "data": null}`)
	}))
	t.Cleanup(wrong.Close)
	s := startService(t, filepath.Join(t.TempDir(), "orders.db"), wrong.URL, "")
	require.Equal(t, http.StatusAccepted, s.send(http.MethodPut, "/orders/1", `{"reservationId": "res_a"}`))
	s.reaches("1", "refused")
}
