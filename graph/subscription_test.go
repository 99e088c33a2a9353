package graph_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/models"
)

// patience bounds how long a test waits for an event.
const patience = 20 * time.Second

// watcher is a client of one subscription over server-sent events.
type watcher struct {
	t     *testing.T
	lines *bufio.Reader
}

// watch subscribes.
func watch(t *testing.T, api http.Handler, query string) *watcher {
	t.Helper()
	server := httptest.NewServer(api)
	client := server.Client()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	raw, err := json.Marshal(request{Query: query})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, bytes.NewReader(raw))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	response, err := client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
		server.Close()
	})
	return &watcher{t: t, lines: bufio.NewReader(response.Body)}
}

// next returns the next answer; "complete" at the end.
func (w *watcher) next() string {
	w.t.Helper()
	for {
		line, err := w.lines.ReadString('\n')
		require.NoError(w.t, err)
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			mustNotLeak(w.t, []byte(data))
			return strings.TrimSuffix(data, "\n")
		}
		if line == "event: complete\n" {
			return "complete"
		}
	}
}

// TestStockChanged: the current stock at once, then every committed change, as one
// channel sees it where the subscription names one.
func TestStockChanged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	all := watch(t, guard.Local(s.api), `subscription { stockChanged(productIds: ["22423"]) { productId quantityAvailable reserved } }`)
	brighton := watch(t, guard.Local(s.api), `subscription { stockChanged(productIds: ["22423"], channel: "brighton") { quantityAvailable levels { location { locationId } } } }`)
	assert.JSONEq(t, `{"data":{"stockChanged":{"productId":"22423","quantityAvailable":58,"reserved":0}}}`, all.next())
	assert.JSONEq(t, `{"data":{"stockChanged":{"quantityAvailable":4,"levels":[{"location":{"locationId":"brighton-shop"}}]}}}`, brighton.next())
	post(t, s.api, "anonymous", request{Query: `mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "22423", quantity: 56}]}) { replayed } }`})
	assert.JSONEq(t, `{"data":{"stockChanged":{"productId":"22423","quantityAvailable":2,"reserved":56}}}`, all.next())
	assert.JSONEq(t, `{"data":{"stockChanged":{"quantityAvailable":2,"levels":[{"location":{"locationId":"brighton-shop"}}]}}}`, brighton.next())
}

// TestStockStatusChanged: an event says what changed, and its stock is the live one, as
// new as the change, as the subscription's channel sees it.
func TestStockStatusChanged(t *testing.T) {
	t.Parallel()
	change := func(channel string, version int64) *models.StockStatusChange {
		return &models.StockStatusChange{
			Product: stockOf("a", 7).Product, Status: models.OutOfStock, PreviousStatus: models.LowStock,
			Version: version, OccurredAt: serverTime, Channel: channel,
		}
	}
	f := &fakeStore{
		channels: []models.Channel{{ChannelID: "web"}},
		fresh:    func(id string) (*models.Stock, error) { return stockOf(id, 9), nil },
		statuses: func() (models.Watch[*models.StockStatusChange], error) {
			return newFakeWatch(change("", 1), change("", 5), change("web", 1), change("gone", 1)), nil
		},
	}
	w := watch(t, identities["reader"](apiOver(f)), `subscription { stockStatusChanged { productId product { id version } status previousStatus version occurredAt stock { id version levels { id } } } }`)
	for _, want := range []string{
		`"version":1,"occurredAt":"2030-01-01T00:00:01.000Z","stock":{"id":"onhand:Stock:YQ","version":1,"levels":[{"id":"onhand:StockLevel:YQ.bG9uZG9u"}]}`,
		`"version":5,"occurredAt":"2030-01-01T00:00:01.000Z","stock":{"id":"onhand:Stock:YQ","version":9,"levels":[{"id":"onhand:StockLevel:YQ.bG9uZG9u"}]}`,
		`"version":1,"occurredAt":"2030-01-01T00:00:01.000Z","stock":{"id":"onhand:Stock:YQ.d2Vi","version":1,"levels":[]}`,
		`"version":1,"occurredAt":"2030-01-01T00:00:01.000Z","stock":null`,
	} {
		assert.JSONEq(t, `{"data":{"stockStatusChanged":{"productId":"a","product":{"id":"a","version":7},"status":"OUT_OF_STOCK","previousStatus":"LOW_STOCK",`+want+`}}}`, w.next())
	}
}

// TestReservationChanged: the current state, every newer one, and "complete" after the
// last.
func TestReservationChanged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, body := post(t, s.api, "", request{Query: `mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "22423", quantity: 1}]}) { reservation { id } } }`})
	var made struct {
		Data struct {
			ReserveStock struct{ Reservation struct{ ID string } }
		}
	}
	require.NoError(t, json.Unmarshal(body, &made))
	id := made.Data.ReserveStock.Reservation.ID
	w := watch(t, guard.Local(s.api), `subscription { reservationChanged(id: "`+id+`") { state lines { stock { reserved } } } }`)
	assert.JSONEq(t, `{"data":{"reservationChanged":{"state":"ACTIVE","lines":[{"stock":{"reserved":1}}]}}}`, w.next())
	post(t, s.api, "", request{Query: `mutation { releaseReservation(input: {id: "` + id + `"}) { replayed } }`})
	assert.JSONEq(t, `{"data":{"reservationChanged":{"state":"RELEASED","lines":[{"stock":{"reserved":0}}]}}}`, w.next())
	assert.Equal(t, "complete", w.next())
}

// TestSubscriptionRefusals: a refused subscription gets one error and "complete".
func TestSubscriptionRefusals(t *testing.T) {
	t.Parallel()
	many, err := json.Marshal(fill(t, "$ids:251", nil))
	require.NoError(t, err)
	for query, message := range map[string]string{
		`subscription { a: stockChanged(productIds: ["22423"]) { id } b: stockChanged(productIds: ["22423"]) { id } }`: "must subscribe to exactly one stream",
		`subscription { stockChanged(productIds: []) { id } }`:                                                         "name at least one product",
		`subscription { stockChanged(productIds: ` + string(many) + `) { id } }`:                                       "at most 250 product ids at once, not 251",
		`subscription { stockChanged(productIds: [""]) { id } }`:                                                       "product id 0 must not be empty",
		`subscription { stockChanged(productIds: ["22423"], channel: "none") { id } }`:                                 `no channel "none"`,
		`subscription { stockStatusChanged(channel: "none") { version } }`:                                             `no channel "none"`,
		`subscription { stockStatusChanged(productIds: [""]) { version } }`:                                            "product id 0 must not be empty",
		`subscription { stockMoved(after: "garbage") { id } }`:                                                         `this is no cursor of a stock movement: "garbage"`,
		`subscription { stockMoved(after: "") { id } }`:                                                                "after must not be empty; leave it out to begin now",
		`subscription { stockMoved(filter: {productId: ""}) { id } }`:                                                  "filter.productId must not be empty",
		`subscription { reservationChanged(id: "garbage") { id } }`:                                                    "no reservation with this id",
		`subscription { reservationChanged(id: "res_` + strings.Repeat("0", 32) + `") {id} }`:                          "no reservation with this id",
	} {
		w := watch(t, guard.Local(readingShop(t).api), query)
		var r reply
		require.NoError(t, json.Unmarshal([]byte(w.next()), &r))
		require.Len(t, r.Errors, 1)
		assert.Equal(t, message, r.Errors[0].Message)
		assert.Equal(t, string(models.CodeBadUserInput), r.Errors[0].Extensions["code"])
		assert.Equal(t, "complete", w.next())
	}
}

// TestWatchFaults: a watch that cannot begin is one presented error. A watch that fails
// later ends the subscription, and is closed.
func TestWatchFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[error]models.Code{
		errDriver: models.CodeInternal,
		models.Unavailable("too many watchers; please try again later", errDriver): models.CodeUnavailable,
	} {
		f := &fakeStore{
			reservation:  func(id string) (*models.Reservation, error) { return &models.Reservation{ID: id}, nil },
			watch:        func(context.Context) (models.Watch[*models.Stock], error) { return nil, fault },
			reservations: func(context.Context) (models.Watch[*models.Reservation], error) { return nil, fault },
		}
		for _, query := range []string{`subscription { stockChanged(productIds: ["a"]) { id } }`, `subscription { reservationChanged(id: "a") { id } }`} {
			var r reply
			require.NoError(t, json.Unmarshal([]byte(watch(t, apiOver(f), query).next()), &r))
			require.Len(t, r.Errors, 1)
			assert.Equal(t, string(want), r.Errors[0].Extensions["code"])
		}
	}
	failing := newFakeWatch(stockOf("a", 1))
	failing.err = errors.Join(errDriver)
	close(failing.states)
	f := &fakeStore{watch: func(context.Context) (models.Watch[*models.Stock], error) { return failing, nil }}
	w := watch(t, apiOver(f), `subscription { stockChanged(productIds: ["a"]) { version } }`)
	assert.JSONEq(t, `{"data":{"stockChanged":{"version":1}}}`, w.next())
	assert.Equal(t, "complete", w.next())
	<-failing.closed
}

// TestEachEventReadsAnew: an event of a subscription does not get values that were read
// for an earlier event.
func TestEachEventReadsAnew(t *testing.T) {
	t.Parallel()
	states := newFakeWatch[*models.Stock]()
	version := int64(0)
	f := &fakeStore{
		watch: func(context.Context) (models.Watch[*models.Stock], error) { return states, nil },
		stocks: func([]string) ([]*models.Stock, error) {
			version++
			return []*models.Stock{stockOf("a", 100+version)}, nil
		},
	}
	w := watch(t, apiOver(f), `subscription { stockChanged(productIds: ["a"]) { version product { stock { version } } } }`)
	go func() {
		for i := range int64(3) {
			states.states <- stockOf("a", i+1)
		}
	}()
	assert.JSONEq(t, `{"data":{"stockChanged":{"version":1,"product":{"stock":{"version":101}}}}}`, w.next())
	assert.JSONEq(t, `{"data":{"stockChanged":{"version":2,"product":{"stock":{"version":102}}}}}`, w.next())
	assert.JSONEq(t, `{"data":{"stockChanged":{"version":3,"product":{"stock":{"version":103}}}}}`, w.next())
	assert.Len(t, f.calls(), 3)
}

// TestPanicInAnEvent: a panic of a resolver is an INTERNAL error of that event, and the
// next event follows.
func TestPanicInAnEvent(t *testing.T) {
	t.Parallel()
	f := &fakeStore{
		watch: func(context.Context) (models.Watch[*models.Stock], error) {
			return newFakeWatch(stockOf("a", 1), stockOf("a", 2)), nil
		},
		stocks: func(ids []string) ([]*models.Stock, error) {
			panic(errDriver)
		},
	}
	w := watch(t, apiOver(f), `subscription { stockChanged(productIds: ["a"]) { version product { stock { version } } } }`)
	for range 2 {
		var r reply
		require.NoError(t, json.Unmarshal([]byte(w.next()), &r))
		mustFail(t, r, models.CodeInternal, "internal error")
	}
}

// TestWebSocketIdentity: queries and mutations over one WebSocket have the caller's
// identity.
func TestWebSocketIdentity(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for as, want := range map[string]string{"": `"COMMITTED"`, "anonymous": `UNAUTHENTICATED`, "reader": `FORBIDDEN`} {
		server := httptest.NewServer(identities[as](s.api))
		conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
		require.NoError(t, err)
		read := func() string {
			_, data, err := conn.Read(t.Context())
			require.NoError(t, err)
			mustNotLeak(t, data)
			return string(data)
		}
		run := func(query string) string {
			payload, err := json.Marshal(request{Query: query})
			require.NoError(t, err)
			require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"id":"1","type":"subscribe","payload":`+string(payload)+`}`)))
			answer := read()
			require.Contains(t, read(), `"complete"`)
			return answer
		}
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"connection_init"}`)))
		require.Contains(t, read(), "connection_ack")
		reserved := run(`mutation { reserveStock(input: {idempotencyKey: "k` + as + `", lines: [{productId: "22423", quantity: 1}]}) { reservation { id } } }`)
		id := reservationIDs.FindString(reserved)
		require.NotEmpty(t, id, reserved)
		assert.Contains(t, run(`{ reservation(id: "`+id+`") { state } }`), `"ACTIVE"`)
		assert.Contains(t, run(`mutation { commitReservation(input: {idempotencyKey: "c`+as+`", id: "`+id+`"}) { reservation { state } } }`), want)
		require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
		server.Close()
	}
}

// TestStockMoved: movements from now on, or from a cursor on, with none missing and none
// twice.
func TestStockMoved(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	api := guard.Local(s.api)
	move := func(delta int) {
		_, body := post(t, s.api, "", request{Query: `mutation { adjustStock(input: {idempotencyKey: "` + strconv.Itoa(delta) +
			`", reason: RECEIVED, rows: [{productId: "22423", locationId: "london", delta: ` + strconv.Itoa(delta) + `}]}) { errors { __typename } } }`})
		require.Contains(t, string(body), `"errors":[]`)
	}
	type event struct {
		Data struct {
			StockMoved struct {
				ProductID, Cursor string
				Location          struct{ LocationID string }
				Changes           []struct{ Delta, After int }
			}
		}
	}
	read := func(w *watcher) (e event) {
		answer := w.next()
		require.NoError(t, json.Unmarshal([]byte(answer), &e))
		require.NotEmpty(t, e.Data.StockMoved.Changes, answer)
		return e
	}
	const fields = `{ productId location { locationId } changes { delta after } cursor }`
	_, body := post(t, s.api, "", request{Query: `{ stockMovements(first: 1) { nodes { cursor } } }`})
	newest := regexp.MustCompile(`"cursor":"([^"]+)"`).FindSubmatch(body)
	require.Len(t, newest, 2)
	first := watch(t, api, `subscription { stockMoved(after: "`+string(newest[1])+`", filter: {productId: "22423"}) `+fields+` }`)
	move(1)
	began := read(first).Data.StockMoved
	assert.Equal(t, "london", began.Location.LocationID)
	assert.Equal(t, 1, began.Changes[0].Delta)
	move(2)
	move(3)
	again := watch(t, api, `subscription { stockMoved(after: "`+began.Cursor+`", filter: {productId: "22423"}) `+fields+` }`)
	move(4)
	for i := 2; i <= 4; i++ {
		assert.Equal(t, i, read(again).Data.StockMoved.Changes[0].Delta)
		assert.Equal(t, i, read(first).Data.StockMoved.Changes[0].Delta)
	}
}

// TestSubscriptionScopes: a caller without the scope gets UNAUTHENTICATED or FORBIDDEN.
func TestSubscriptionScopes(t *testing.T) {
	t.Parallel()
	for _, query := range []string{`subscription { stockMoved { id } }`, `subscription { stockStatusChanged { version } }`} {
		for as, code := range map[string]models.Code{"anonymous": models.CodeUnauthenticated, "orders": models.CodeForbidden} {
			w := watch(t, identities[as](readingShop(t).api), query)
			var r reply
			require.NoError(t, json.Unmarshal([]byte(w.next()), &r))
			require.Len(t, r.Errors, 1)
			assert.Equal(t, string(code), r.Errors[0].Extensions["code"])
			assert.Equal(t, "complete", w.next())
		}
	}
}
