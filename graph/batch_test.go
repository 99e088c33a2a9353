package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph"
	"onhand/graph/loaders"
	"onhand/models"
	"onhand/models/owner"
	"onhand/models/paging"
)

// TestDocumentReadsStockOnce: all lists and fields of a document that read stock make
// one call of the store, with each product once. A busy machine can start a field too
// late for the first call, so the test tries again. No try reads a product twice.
func TestDocumentReadsStockOnce(t *testing.T) {
	t.Parallel()
	require.Eventually(t, func() bool {
		f := &fakeStore{}
		r := ask(t, f, `{
			one: stocks(productIds: ["a", "b", "c", "a"]) { productId product { stock { productId } } }
			two: stocks(productIds: ["c", "none", "d"]) { productId }
			stock(productId: "e") { productId product { stock { version } } }
			product(id: "a") { id stock { productId } }
		}`)
		assert.Empty(t, r.Errors)
		assert.JSONEq(t, `{
			"one": [{"productId": "a", "product": {"stock": {"productId": "a"}}}, {"productId": "b", "product": {"stock": {"productId": "b"}}},
			        {"productId": "c", "product": {"stock": {"productId": "c"}}}, {"productId": "a", "product": {"stock": {"productId": "a"}}}],
			"two": [{"productId": "c"}, null, {"productId": "d"}],
			"stock": {"productId": "e", "product": {"stock": {"version": 1}}},
			"product": {"id": "a", "stock": {"productId": "a"}}
		}`, string(r.Data))
		asked := slices.Concat(f.calls()...)
		slices.Sort(asked)
		assert.Equal(t, []string{"a", "b", "c", "d", "e", "none"}, asked)
		return len(f.calls()) == 1
	}, 10*time.Second, time.Millisecond)
}

// TestPageReadsStockOnce: the stock of all products of a page is one call, and so are
// both fields of a reservation's lines.
func TestPageReadsStockOnce(t *testing.T) {
	t.Parallel()
	page := paging.ProductPage{}
	reservation := &models.Reservation{ID: "r", State: models.ReservationActive}
	for i := range models.StocksMax {
		id := "p" + strconv.Itoa(i)
		page.Products = append(page.Products, models.Product{ProductID: id, InventoryPolicy: models.Deny})
		reservation.Lines = append(reservation.Lines, models.ReservationLine{ProductID: id, Requested: 1, Quantity: 1})
	}
	f := &fakeStore{
		products:    func() (paging.ProductPage, error) { return page, nil },
		reservation: func(string) (*models.Reservation, error) { return reservation, nil },
	}
	require.Empty(t, ask(t, f, `{ products(first: 250) { nodes { stock { status } } } }`).Errors)
	require.Len(t, f.calls(), 1)
	assert.Len(t, f.calls()[0], models.StocksMax)
	require.Empty(t, ask(t, f, `{ reservation(id: "r") { lines { product { id } stock { status } } } }`).Errors)
	require.Len(t, f.calls(), 2)
	assert.Len(t, f.calls()[1], models.StocksMax)
}

// TestDocumentReadsReservationsOnce: all fields of a document that read reservations,
// through reservation or node, make one call of the store, with each id once. A busy
// machine can start a field too late, so the test tries again.
func TestDocumentReadsReservationsOnce(t *testing.T) {
	t.Parallel()
	var document strings.Builder
	document.WriteString("{")
	want := map[string]bool{}
	for i := range 50 {
		id := fmt.Sprintf("res_%032x", i)
		want[id] = true
		fmt.Fprintf(&document, ` r%d: reservation(id: %q) { id } n%d: node(id: %q) { id }`, i, id, i, id)
	}
	document.WriteString("}")
	require.Eventually(t, func() bool {
		f := &fakeStore{reservation: func(id string) (*models.Reservation, error) { return &models.Reservation{ID: id}, nil }}
		r := ask(t, f, document.String())
		require.Empty(t, r.Errors)
		var fields map[string]struct{ ID string }
		require.NoError(t, json.Unmarshal(r.Data, &fields))
		require.Len(t, fields, 100)
		assert.Equal(t, fields["r7"], fields["n7"])
		asked := slices.Concat(f.askedReservations...)
		assert.Len(t, asked, len(want), "each once")
		for _, id := range asked {
			assert.True(t, want[id], id)
		}
		return len(f.askedReservations) == 1
	}, patience, time.Millisecond)
}

// TestReservationsInPlace: each field gets the reservation it asked for, or null for an
// unknown one, in whatever order the store finds them.
func TestReservationsInPlace(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ids := make([]string, 3)
	for i := range ids {
		_, body := post(t, s.api, "", request{Query: `mutation { reserveStock(input: {idempotencyKey: "k` + strconv.Itoa(i) + `", lines: [{productId: "22423", quantity: 1}]}) { reservation { id } } }`})
		ids[i] = reservationIDs.FindString(string(body))
		require.NotEmpty(t, ids[i], "%s", body)
	}
	_, body := post(t, s.api, "", request{Query: `{ a: reservation(id: "` + ids[2] + `") { id } b: reservation(id: "res_` + strings.Repeat("0", 32) + `") { id }
		c: node(id: "` + ids[0] + `") { id } d: reservation(id: "no id") { id } e: reservation(id: "` + ids[1] + `") { id } f: reservation(id: "` + ids[2] + `") { id } }`})
	assert.JSONEq(t, `{"data": {"a": {"id": "`+ids[2]+`"}, "b": null, "c": {"id": "`+ids[0]+`"}, "d": null, "e": {"id": "`+ids[1]+`"}, "f": {"id": "`+ids[2]+`"}}}`, string(body))
}

// TestBatchResolversSkipNilParents: a batch resolver answers nil for a nil parent.
func TestBatchResolversSkipNilParents(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	r := &graph.Resolver{Store: f}
	ctx := loaders.PerResponse{Stocks: f.Stocks, Reservations: f.Reservations}.With(t.Context())

	stocks, err := r.Product().Stock(ctx, []*models.Product{nil, {ProductID: "a"}, nil, {ProductID: "b"}}, nil)
	require.NoError(t, err)
	require.Len(t, stocks, 4)
	assert.Nil(t, stocks[0])
	assert.Nil(t, stocks[2])
	assert.Equal(t, "a", stocks[1].ProductID)
	assert.Equal(t, "b", stocks[3].ProductID)

	line := func(product string) *models.LineView {
		return &models.LineView{ReservationLine: models.ReservationLine{ProductID: product}}
	}
	lines := []*models.LineView{line("none"), nil, line("a")}
	stocks, err = r.ReservationLine().Stock(ctx, lines)
	require.NoError(t, err)
	require.Len(t, stocks, 3)
	assert.Nil(t, stocks[0])
	assert.Nil(t, stocks[1])
	products, err := r.ReservationLine().Product(ctx, lines)
	require.NoError(t, err)
	require.Len(t, products, 3)
	assert.Equal(t, "a", products[2].ProductID)

	none, err := r.Product().Stock(ctx, []*models.Product{nil, nil}, nil)
	require.NoError(t, err)
	assert.Equal(t, []*models.Stock{nil, nil}, none)
	none, err = r.Product().Stock(ctx, nil, nil)
	require.NoError(t, err)
	assert.Empty(t, none)
}

// TestMinVersion: a stock that is older than minVersion, or missing, is read again from
// the database. A stock that is new enough is not.
func TestMinVersion(t *testing.T) {
	t.Parallel()
	var fresh []string
	f := &fakeStore{fresh: func(id string) (*models.Stock, error) {
		fresh = append(fresh, id)
		if id == "none" {
			return nil, nil
		}
		return stockOf(id, 9), nil
	}}
	r := ask(t, f, `{ old: stock(productId: "a", minVersion: 1) { version } }`)
	assert.JSONEq(t, `{"old": {"version": 1}}`, string(r.Data))
	assert.Empty(t, fresh)
	r = ask(t, f, `{ new: stock(productId: "a", minVersion: 2) { version } }`)
	assert.JSONEq(t, `{"new": {"version": 9}}`, string(r.Data))
	r = ask(t, f, `{ none: stock(productId: "none", minVersion: 0) { version } }`)
	assert.JSONEq(t, `{"none": null}`, string(r.Data))
	assert.Equal(t, []string{"a", "none"}, fresh)
}

// TestMinVersionPastTheNearCache: a stock of the near cache that is older than minVersion
// is read from Redis first, and from the database only when Redis is older too. One that
// is new enough is the answer.
func TestMinVersionPastTheNearCache(t *testing.T) {
	t.Parallel()
	var asked []string
	f := &fakeStore{
		stocks: func(ids []string) ([]*models.Stock, error) {
			near := stockOf(ids[0], 1)
			near.Source = models.FromNearCache
			return []*models.Stock{near}, nil
		},
		shared: func(id string) (*models.Stock, error) {
			asked = append(asked, "redis")
			return stockOf(id, 2), nil
		},
		fresh: func(id string) (*models.Stock, error) {
			asked = append(asked, "database")
			return stockOf(id, 3), nil
		},
	}
	for minVersion, want := range map[string][]string{"1": nil, "2": {"redis"}, "3": {"redis", "database"}} {
		asked = nil
		r := ask(t, f, `{ stock(productId: "a", minVersion: `+minVersion+`) { version } }`)
		assert.JSONEq(t, `{"stock": {"version": `+minVersion+`}}`, string(r.Data))
		assert.Equal(t, want, asked)
	}
}

// TestReadAfterWrite: a read with the write's version as minVersion sees the write at
// once. A read without it sees the write soon.
func TestReadAfterWrite(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	api := s.apiOver(s.store)
	const question = `{ stock(productId: "22423") { quantityAvailable } }`
	_, body := post(t, api, "", request{Query: question})
	assert.Contains(t, string(body), "58")
	_, body = post(t, api, "", request{Query: `mutation { adjustStock(input: {idempotencyKey: "k", reason: RECEIVED, rows: [{productId: "22423", locationId: "london", delta: 1}]}) { stocks { version } } }`})
	version := regexp.MustCompile(`\d+`).FindString(string(body))
	_, body = post(t, api, "", request{Query: `{ stock(productId: "22423", minVersion: ` + version + `) { quantityAvailable } }`})
	assert.Contains(t, string(body), "59")
	require.Eventually(t, func() bool {
		_, body := post(t, api, "", request{Query: question})
		return bytes.Contains(body, []byte("59"))
	}, patience, 10*time.Millisecond)
}

// TestInputDefaults: the store gets the schema's default for each field that the client
// leaves out.
func TestInputDefaults(t *testing.T) {
	t.Parallel()
	var got []models.Write
	f := &fakeStore{write: func(w models.Write) (models.WriteResult, error) {
		got = append(got, w)
		return models.WriteResult{}, nil
	}}
	for _, q := range []string{
		`mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "a", quantity: 1}]}) { replayed errors { __typename } } }`,
		`mutation { extendReservation(input: {id: "r"}) { replayed } }`,
		`mutation { updateReservation(input: {idempotencyKey: "k", id: "r", lines: []}) { replayed } }`,
		`mutation { releaseReservation(input: {id: "r"}) { replayed } }`,
		`mutation { commitReservation(input: {idempotencyKey: "k", id: "r", orderRef: "o"}) { replayed } }`,
		`mutation { adjustStock(input: {idempotencyKey: "k", reason: OTHER, rows: [{productId: "a", locationId: "l", delta: -1}]}) { replayed } }`,
	} {
		require.Empty(t, ask(t, f, q).Errors)
	}
	every := owner.Access{Orders: true}
	assert.Equal(t, []models.Write{
		models.Reserve{IdempotencyKey: "k", Lines: []models.RequestedLine{{ProductID: "a", Quantity: 1}}, Access: every},
		models.ExtendReservation{ID: "r", Access: every},
		models.UpdateReservation{IdempotencyKey: "k", ID: "r", Lines: []models.RequestedLine{}, Access: every},
		models.Resolve{ID: "r", To: models.ReservationReleased, Access: every},
		models.Resolve{IdempotencyKey: "k", ID: "r", To: models.ReservationCommitted, OrderRef: "o", Actor: "local", Access: every},
		models.Adjust{
			IdempotencyKey: "k", Reason: models.ReasonOther, ErrorPolicy: models.RejectEverything, Actor: "local",
			Rows: []models.AdjustRow{{ProductID: "a", LocationID: "l", State: models.Available, Delta: -1}},
		},
	}, got)
}
