package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/models/paging"
)

// reply is a decoded GraphQL answer.
type reply struct {
	Data   json.RawMessage `json:"data"`
	Errors []struct {
		Message    string         `json:"message"`
		Path       []any          `json:"path"`
		Extensions map[string]any `json:"extensions"`
	} `json:"errors"`
}

func ask(t *testing.T, f *fakeStore, query string) reply {
	t.Helper()
	status, body := post(t, apiOver(f), "", request{Query: query})
	require.Equal(t, 200, status, "%s", body)
	var r reply
	require.NoError(t, json.Unmarshal(body, &r), "%s", body)
	return r
}

// mustFail requires errors that all have this code and message.
func mustFail(t *testing.T, r reply, code models.Code, message string) {
	t.Helper()
	require.NotEmpty(t, r.Errors)
	for _, e := range r.Errors {
		assert.Equal(t, message, e.Message)
		assert.Equal(t, string(code), e.Extensions["code"])
		assert.NotEmpty(t, e.Path)
	}
}

// errDriver is an error as a driver may return it.
var errDriver = errors.New(`pq: SELECT secret FROM users: dial tcp 127.0.0.1:5432: connection refused at /root/onhand/store/database.go:12`)

// failingStore returns a store whose methods all fail.
func failingStore(fail func() error) *fakeStore {
	return &fakeStore{
		stocks:      func([]string) ([]*models.Stock, error) { return nil, fail() },
		fresh:       func(string) (*models.Stock, error) { return nil, fail() },
		products:    func() (paging.ProductPage, error) { return paging.ProductPage{}, fail() },
		reservation: func(string) (*models.Reservation, error) { return nil, fail() },
		movements:   func() (paging.MovementPage, error) { return paging.MovementPage{}, fail() },
		write:       func(models.Write) (models.WriteResult, error) { return models.WriteResult{}, fail() },
		now:         fail,
	}
}

// everyField calls every method of the store.
var everyField = map[string]string{
	"stock":       `{ stock(productId: "a") { id } }`,
	"stocks":      `{ stocks(productIds: ["a", "b"]) { id } }`,
	"product":     `{ product(id: "a") { id } }`,
	"products":    `{ products { nodes { id } } }`,
	"reservation": `{ reservation(id: "a") { id } }`,
	"past stock":  `{ stock(productId: "a", asOf: "2020-01-01T00:00:00Z") { id } }`,
	"clock":       `{ serverTime }`,
	"movements":   `{ stockMovements { nodes { id } } }`,
	"a movement":  `{ node(id: "onhand:StockMovement:MQ.cQ") { id } }`,
	"node":        `{ node(id: "a") { id } }`,
	"node, res_":  `{ node(id: "res_00000000000000000000000000000000") { id } }`,
	"reserve":     `mutation { reserveStock(input: {idempotencyKey: "k", lines: []}) { replayed } }`,
	"update":      `mutation { updateReservation(input: {idempotencyKey: "k", id: "a", lines: []}) { replayed } }`,
	"extend":      `mutation { extendReservation(input: {id: "a"}) { replayed } }`,
	"release":     `mutation { releaseReservation(input: {id: "a"}) { replayed } }`,
	"commit":      `mutation { commitReservation(input: {idempotencyKey: "k", id: "a"}) { replayed } }`,
	"fulfill":     `mutation { fulfillReservation(input: {idempotencyKey: "k", id: "a"}) { replayed } }`,
	"cancel":      `mutation { cancelReservation(input: {idempotencyKey: "k", id: "a"}) { replayed } }`,
	"adjust":      `mutation { adjustStock(input: {idempotencyKey: "k", reason: OTHER, rows: []}) { replayed } }`,
}

// TestUnavailable: an outage of the store is UNAVAILABLE with retryAfterMs and the
// fault's message, without its cause.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	f := failingStore(func() error { return models.Unavailable("the database cannot be reached; try again", errDriver) })
	for name, query := range everyField {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ask(t, f, query)
			mustFail(t, r, models.CodeUnavailable, "the database cannot be reached; try again")
			assert.InDelta(t, 750, r.Errors[0].Extensions["retryAfterMs"], 250)
		})
	}
}

// TestOutageIsLoggedOnce: however many fields of however many responses fail.
func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	f := failingStore(func() error { return models.Unavailable("later", errDriver) })
	var log bytes.Buffer
	api := graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: f, Log: slog.New(slog.NewTextHandler(&log, nil))}, Closing: transport.NewClosing(),
	})
	for range 3 {
		_, body := post(t, api, "", request{Query: `{ a: stock(productId: "a") { id } b: stock(productId: "b") { id } reservation(id: "r") { id } products { nodes { id } } }`})
		assert.Equal(t, 4, bytes.Count(body, []byte("UNAVAILABLE")), "%s", body)
		assert.Equal(t, 1, strings.Count(log.String(), "msg=unavailable"), "%s", &log)
	}
}

// TestGoneClientIsNotLogged: a client goes away while the store works on its request,
// whatever it has asked for.
func TestGoneClientIsNotLogged(t *testing.T) {
	t.Parallel()
	for name, query := range everyField {
		var log bytes.Buffer
		ctx, leave := context.WithCancel(t.Context())
		api := graph.Handler(graph.HandlerConfig{
			Resolver: &graph.Resolver{
				Store: failingStore(func() error { leave(); return models.Unavailable("the request was given up", context.Canceled) }),
				Log:   slog.New(slog.NewTextHandler(&log, nil)),
			},
			Closing: transport.NewClosing(),
		})
		body, err := json.Marshal(request{Query: query})
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(ctx, "POST", "/graphql", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		identities[""](api).ServeHTTP(httptest.NewRecorder(), r)
		require.Error(t, ctx.Err(), "%s: the store was asked", name)
		assert.Empty(t, log.String(), name)
	}
}

// TestInternalErrorLogIsBounded: a response logs its first ten internal errors, with
// their cause.
func TestInternalErrorLogIsBounded(t *testing.T) {
	t.Parallel()
	query := "{"
	for i := range 30 {
		query += fmt.Sprintf(` s%d: stock(productId: "a") { id }`, i)
	}
	query += "}"
	for word, fail := range map[string]func() error{"internal error": func() error { return errDriver }, "panic": func() error { panic(errDriver) }} {
		var log bytes.Buffer
		api := graph.Handler(graph.HandlerConfig{
			Resolver: &graph.Resolver{Store: failingStore(fail), Log: slog.New(slog.NewTextHandler(&log, nil))}, Closing: transport.NewClosing(),
		})
		for response := range 2 {
			_, body := post(t, api, "", request{Query: query})
			assert.Equal(t, 30, bytes.Count(body, []byte("INTERNAL")), "%s", body)
			assert.Equal(t, 10*(response+1), strings.Count(log.String(), "level=ERROR"), "%s", &log)
		}
		assert.Contains(t, log.String(), word)
		assert.Contains(t, log.String(), errDriver.Error()[:10], "the log has the cause")
	}
}

// TestWebSocketRefusals: a document that is refused before execution gets the same code
// and message as over HTTP, and the connection stays open.
func TestWebSocketRefusals(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(apiOver(&fakeStore{}))
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	roundTrip := func(text string) string {
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(text)))
		_, answer, err := conn.Read(t.Context())
		require.NoError(t, err)
		return string(answer)
	}
	require.Contains(t, roundTrip(`{"type":"connection_init"}`), "connection_ack")
	for query, message := range map[string]string{
		unknownFields(1001): "a document has at most 1000 selections, not 1001",
		"{ products(first: 250) { nodes { " + strings.Repeat("title id tracked ", 50) + " } } }": "operation has complexity 38250, which exceeds the limit of 30000",
	} {
		assert.JSONEq(t, `{"id":"1","type":"error","payload":[{"message":"`+message+`","extensions":{"code":"BAD_USER_INPUT"}}]}`,
			roundTrip(`{"id":"1","type":"subscribe","payload":{"query":"`+query+`"}}`))
	}
	assert.Contains(t, roundTrip(`{"id":"1","type":"subscribe","payload":{"query":"{ locations { name } }"}}`), `"London"`)
}

// TestInternalErrorsAreHidden: panics and errors without a message for clients are
// INTERNAL, and show nothing else.
func TestInternalErrorsAreHidden(t *testing.T) {
	t.Parallel()
	for kind, fail := range map[string]func() error{
		"plain": func() error { return errDriver },
		"fault": func() error {
			return &models.Fault{Code: models.CodeInternal, Message: errDriver.Error(), Cause: errDriver}
		},
		"context canceled": func() error { return context.Canceled },
		"panic":            func() error { panic(errDriver) },
		"nil pointer":      func() error { var s *models.Stock; return errors.New(s.ProductID) },
	} {
		f := failingStore(fail)
		for name, query := range everyField {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := ask(t, f, query)
				mustFail(t, r, models.CodeInternal, "internal error")
				assert.NotContains(t, r.Errors[0].Extensions, "retryAfterMs")
			})
		}
	}
}

// TestWrappedFaultsKeepTheirCode: also when another error is joined to the fault.
func TestWrappedFaultsKeepTheirCode(t *testing.T) {
	t.Parallel()
	f := failingStore(func() error {
		return errors.Join(errDriver, &models.Fault{Code: models.CodeRateLimited, Message: "slow down", Cause: errDriver})
	})
	mustFail(t, ask(t, f, everyField["stock"]), models.CodeRateLimited, "slow down")
}

// TestNullInNonNullField: the store returns no stock for a line of a reservation. The
// schema has no null there, so the error is INTERNAL.
func TestNullInNonNullField(t *testing.T) {
	t.Parallel()
	f := &fakeStore{reservation: func(id string) (*models.Reservation, error) {
		return &models.Reservation{ID: id, State: models.ReservationActive, Lines: []models.ReservationLine{
			{ProductID: "a", Requested: 1, Quantity: 1}, {ProductID: "none", Requested: 1, Quantity: 1},
		}}, nil
	}}
	r := ask(t, f, `{ reservation(id: "r") { lines { productId stock { productId } } } }`)
	mustFail(t, r, models.CodeInternal, "internal error")
	assert.JSONEq(t, `{"reservation": null}`, string(r.Data))
}

// TestUserErrors: each user error reaches the client as its own type, with all its
// fields.
func TestUserErrors(t *testing.T) {
	t.Parallel()
	failure := models.Failure{Message: "no", Path: []string{"input", "rows", "3"}}
	f := &fakeStore{write: func(models.Write) (models.WriteResult, error) {
		return models.WriteResult{Errors: []models.UserError{
			models.InsufficientStockError{Failure: failure, ProductID: "a", Requested: 3, Available: 2},
			models.QuantityLimitExceededError{Failure: failure, ProductID: "a", Requested: 3, Limit: 2},
			models.IdempotencyError{Failure: failure, Cause: models.ErrorConcurrentRequest},
			models.NotFoundError{Failure: failure},
			models.InvalidInputError{Failure: failure},
			models.StaleQuantityError{Failure: failure, Expected: 5, Actual: 6, Version: 1 << 40},
			models.SupersededCountError{Failure: failure, CountedAt: time.Date(2026, 1, 5, 12, 5, 57, 142_900_000, time.UTC)},
		}}, nil
	}}
	r := ask(t, f, `mutation { adjustStock(input: {idempotencyKey: "k", reason: OTHER, rows: []}) { stocks { id } replayed errors {
		__typename ... on UserError { message path }
		... on InsufficientStockError { productId requested available }
		... on QuantityLimitExceededError { productId requested limit }
		... on StaleQuantityError { expected actual version }
		... on SupersededCountError { countedAt }
		... on IdempotencyError { code } } } }`)
	require.Empty(t, r.Errors)
	assert.JSONEq(t, `{"adjustStock": {"stocks": [], "replayed": false, "errors": [
		{"__typename": "InsufficientStockError", "message": "no", "path": ["input", "rows", "3"], "productId": "a", "requested": 3, "available": 2},
		{"__typename": "QuantityLimitExceededError", "message": "no", "path": ["input", "rows", "3"], "productId": "a", "requested": 3, "limit": 2},
		{"__typename": "IdempotencyError", "message": "no", "path": ["input", "rows", "3"], "code": "CONCURRENT_REQUEST"},
		{"__typename": "NotFoundError", "message": "no", "path": ["input", "rows", "3"]},
		{"__typename": "InvalidInputError", "message": "no", "path": ["input", "rows", "3"]},
		{"__typename": "StaleQuantityError", "message": "no", "path": ["input", "rows", "3"], "expected": 5, "actual": 6, "version": 1099511627776},
		{"__typename": "SupersededCountError", "message": "no", "path": ["input", "rows", "3"], "countedAt": "2026-01-05T12:05:57.142Z"}
	]}}`, string(r.Data))
}

// TestErrorsNeedNoFragment: every payload answers message, path and code of its errors
// without a fragment, and fragments on every interface that has them.
func TestErrorsNeedNoFragment(t *testing.T) {
	t.Parallel()
	failure := models.Failure{Message: "no", Path: []string{"input"}}
	both := []models.UserError{
		models.IdempotencyError{Failure: failure, Cause: models.ErrorKeyParameterMismatch},
		models.IdempotencyError{Failure: failure, Cause: models.ErrorNotAfterPassed},
		models.NotFoundError{Failure: failure}, models.InvalidInputError{Failure: failure},
	}
	stock := slices.Concat([]models.UserError{
		models.InsufficientStockError{Failure: failure}, models.QuantityLimitExceededError{Failure: failure},
	}, both)
	const row = `{idempotencyKey: "k", rows: []}`
	for mutation, test := range map[string]struct {
		input, member string
		errs          []models.UserError
	}{
		"reserveStock":       {`{idempotencyKey: "k", lines: []}`, "ReservationError", slices.Concat(stock, []models.UserError{models.ReservationNotActiveError{Failure: failure}})},
		"updateReservation":  {`{idempotencyKey: "k", id: "a", lines: []}`, "ReservationError", stock},
		"extendReservation":  {`{id: "a"}`, "ReservationError", both},
		"releaseReservation": {`{id: "a"}`, "ReservationError", both},
		"commitReservation":  {`{idempotencyKey: "k", id: "a"}`, "ReservationError", stock},
		"fulfillReservation": {`{idempotencyKey: "k", id: "a"}`, "ReservationError", stock},
		"cancelReservation":  {`{idempotencyKey: "k", id: "a"}`, "ReservationError", stock},
		"setStock":           {`{idempotencyKey: "k", reason: OTHER, rows: []}`, "StockError", slices.Concat(stock, []models.UserError{models.StaleQuantityError{Failure: failure}, models.SupersededCountError{Failure: failure}})},
		"adjustStock":        {`{idempotencyKey: "k", reason: OTHER, rows: []}`, "StockError", stock},
		"moveStock":          {`{idempotencyKey: "k", reason: OTHER, rows: []}`, "StockError", stock},
		"upsertProducts":     {row, "SettingsError", both},
		"upsertLocations":    {row, "SettingsError", both},
		"upsertChannels":     {row, "SettingsError", both},
	} {
		f := &fakeStore{write: func(models.Write) (models.WriteResult, error) { return models.WriteResult{Errors: test.errs}, nil }}
		r := ask(t, f, `mutation { answer: `+mutation+`(input: `+test.input+`) { errors {
			message path code ... on UserError { all: code } ... on `+test.member+` { own: code } ... on IdempotencyError { code } } } }`)
		require.Empty(t, r.Errors, mutation)
		var answer struct {
			Answer struct {
				Errors []struct {
					Message        string
					Path           []string
					Code, All, Own models.ErrorCode
				}
			}
		}
		require.NoError(t, json.Unmarshal(r.Data, &answer), mutation)
		require.Len(t, answer.Answer.Errors, len(test.errs), mutation)
		for i, want := range test.errs {
			got := answer.Answer.Errors[i]
			assert.Equal(t, failure, models.Failure{Message: got.Message, Path: got.Path}, mutation)
			assert.Equal(t, []models.ErrorCode{want.Code(), want.Code(), want.Code()}, []models.ErrorCode{got.Code, got.All, got.Own}, mutation)
		}
	}
}

// TestLeakPattern: the pattern that mustNotLeak uses finds internals, and nothing in a
// normal answer.
func TestLeakPattern(t *testing.T) {
	t.Parallel()
	for _, leak := range []string{
		errDriver.Error(), "SELECT product_id FROM products", "INSERT INTO outbox", "sqlite3: database is locked", "SQLSTATE 23514",
		"open /root/data.db", "store.go:12", "goroutine 7 [running]", "runtime error: nil pointer dereference", "dial tcp", "127.0.0.1:5432",
	} {
		assert.Regexp(t, leaks, leak)
	}
	assert.NotRegexp(t, leaks, `{"data":{"stock":{"source":"DATABASE","levels":[]}},"errors":[{"message":"only 3 of \"21731\" can be had"}]}`)
}
