package graph_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph"
	"onhand/graph/viewer"
)

// cappedBy is the shop's API with a cap of quantities.
func (s *demoShop) cappedBy(limit viewer.QuantityCap, interpreted bool) http.Handler {
	return graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: uncachedStore{s.store}, Log: slog.New(slog.DiscardHandler), QuantityCap: limit},
		Closing:  s.closing, Interpreted: interpreted,
	})
}

// setTo sets the stock of a product at one location, and closes no other.
func (s *demoShop) setTo(t *testing.T, product, key string, quantity int) {
	t.Helper()
	_, body := post(t, s.api, "", request{Query: `mutation { setStock(input: {idempotencyKey: "` + key + `", reason: CYCLE_COUNT, rows: [{productId: "` + product +
		`", locationId: "london", quantity: ` + strconv.Itoa(quantity) + `, ignoreStale: true}]}) { errors { message } } }`})
	require.Contains(t, string(body), `"errors":[]`)
}

// available finds the quantities of an answer.
var available = regexp.MustCompile(`"quantityAvailable":(-?\d+)`)

// TestQuantityCap: without read:inventory no answer has a quantity above the cap: stock by
// any path, errors with their messages, what is reserved in part.
func TestQuantityCap(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const product = "{curly}[square]*?" // in London only
	s.setTo(t, product, "set", 4321)
	node := `onhand:Stock:` + "e2N1cmx5fVtzcXVhcmVdKj8"
	for _, interpreted := range []bool{false, true} {
		api := s.cappedBy(10, interpreted)
		for name, document := range map[string]string{
			"stock":    `{ stock(productId: "` + product + `") { quantityAvailable status availableForSale } }`,
			"stocks":   `{ stocks(productIds: ["` + product + `"]) { quantityAvailable } }`,
			"channel":  `{ stock(productId: "` + product + `", channel: "web") { quantityAvailable } }`,
			"product":  `{ product(id: "` + product + `") { stock { quantityAvailable } } }`,
			"products": `{ products(filter: {ids: ["` + product + `"]}) { nodes { stock { quantityAvailable } } edges { node { stock(channel: "web") { quantityAvailable } } } } }`,
			"node":     `{ node(id: "` + node + `") { ... on Stock { quantityAvailable product { stock { quantityAvailable } } } } }`,
			"entities": `{ _entities(representations: [{__typename: "Product", id: "` + product + `"}, {__typename: "Stock", id: "` + node + `"}]) {
				... on Product { stock { quantityAvailable } web: stock(channel: "web") { quantityAvailable } } ... on Stock { quantityAvailable } } }`,
			"line": `mutation { reserveStock(input: {idempotencyKey: "` + longKey("line"+strconv.FormatBool(interpreted)) + `", lines: [{productId: "` + product +
				`", quantity: 1}]}) { reservation { lines { stock { quantityAvailable } } } } }`,
		} {
			for range 3 { // a document is compiled at its second use
				for as, exact := range map[string]bool{"guest": false, "alice": false, "service": false, "merchant": true, "": true} {
					_, body := post(t, api, as, request{Query: document})
					found := available.FindAllStringSubmatch(string(body), -1)
					require.NotEmpty(t, found, "%s: %s", name, body)
					for _, quantity := range found {
						n, err := strconv.Atoi(quantity[1])
						require.NoError(t, err)
						assert.Equal(t, exact, n > 4000, "%s for %s: %s", name, as, body)
						assert.Equal(t, !exact, n == 10, "%s for %s: %s", name, as, body)
					}
				}
			}
		}
	}
}

// reserveMany asks for more than there is.
func reserveMany(key string, partial bool, quantity int) request {
	return request{Query: `mutation { reserveStock(input: {idempotencyKey: "` + longKey(key) + `", allowPartial: ` + strconv.FormatBool(partial) +
		`, lines: [{productId: "{curly}[square]*?", quantity: ` + strconv.Itoa(quantity) + `}]}) { replayed
		reservation { id lines { requested quantity allocations { quantity } } } errors { message ... on InsufficientStockError { requested available } } } }`}
}

// TestQuantityCapOfErrors: neither shortages nor their messages have more than the cap. A
// reservation in part has the cap too, so that the cart has what it shows.
func TestQuantityCapOfErrors(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const product = "{curly}[square]*?"
	s.setTo(t, product, "set", 4321)
	api := s.cappedBy(10, false)
	_, body := post(t, api, "guest", reserveMany("a", false, 5000))
	assert.JSONEq(t, `{"data":{"reserveStock":{"replayed":false,"reservation":null,"errors":[{"message":"there are fewer than 5000 of \"{curly}[square]*?\"","requested":5000,"available":10}]}}}`, string(body))
	_, body = post(t, api, "merchant", reserveMany("a", false, 5000))
	assert.Contains(t, string(body), `"available":4321`)

	_, first := post(t, api, "guest", reserveMany("b", true, 5000))
	assert.Contains(t, string(first), `"lines":[{"requested":5000,"quantity":10,"allocations":[{"quantity":10}]}]`)
	assert.Contains(t, string(first), `"available":10`)
	withoutID := func(body []byte) string { return reservationIDs.ReplaceAllString(string(body), "") } // its digits are random
	assert.NotContains(t, withoutID(first), "43")
	_, again := post(t, api, "guest", reserveMany("b", true, 5000))
	assert.NotContains(t, withoutID(again), "43", "the stored answer is capped too")
	assert.Contains(t, string(again), `"replayed":true`)
	id := reservationIDs.FindString(string(first))
	update := func(quantity int, partial bool) string {
		_, body := post(t, api, "guest", request{Query: `mutation { updateReservation(input: {idempotencyKey: "` + longKey("u"+strconv.Itoa(quantity)) + `", id: "` + id +
			`", allowPartial: ` + strconv.FormatBool(partial) + `, lines: [{productId: "` + product + `", quantity: ` + strconv.Itoa(quantity) + `}]}) { reservation { lines { quantity } } errors { code } } }`})
		return string(body)
	}
	assert.Contains(t, update(30, false), `"quantity":30`, "what is there may be reserved")
	assert.Contains(t, update(6000, true), `"quantity":30`, "units that the reservation has stay")
	_, body = post(t, s.api, "", request{Query: `{ stock(productId: "` + product + `") { quantityAvailable reserved } }`})
	assert.JSONEq(t, `{"data":{"stock":{"quantityAvailable":4291,"reserved":30}}}`, string(body))

	stale := request{Query: `mutation { setStock(input: {idempotencyKey: "s", reason: CYCLE_COUNT, rows: [{productId: "` + product +
		`", locationId: "london", quantity: 1, changeFromQuantity: 2}]}) { errors { message ... on StaleQuantityError { expected actual } } } }`}
	_, body = post(t, api, "counter", stale)
	assert.JSONEq(t, `{"data":{"setStock":{"errors":[{"message":"the quantity is not the expected one","expected":2,"actual":10}]}}}`, string(body))
	_, body = post(t, api, "merchant", stale)
	assert.Contains(t, string(body), `"actual":4291`)
}

// TestCappedSubscription: a caller with capped quantities gets an event when it sees
// another stock than before, by the pushed path and by gqlgen's executor.
func TestCappedSubscription(t *testing.T) {
	t.Parallel()
	for _, interpreted := range []bool{false, true} {
		s := newShop(t)
		const product = "{curly}[square]*?"
		s.setTo(t, product, "first", 4000)
		api := s.cappedBy(10, interpreted)
		const query = `subscription { stockChanged(productIds: ["` + product + `"]) { quantityAvailable version } }`
		capped, exact := watch(t, identities["guest"](api), query), watch(t, identities["merchant"](api), query)
		type event struct {
			Data struct {
				StockChanged struct{ QuantityAvailable int }
			}
		}
		next := func(w *watcher) int {
			var e event
			require.NoError(t, json.Unmarshal([]byte(w.next()), &e))
			return e.Data.StockChanged.QuantityAvailable
		}
		require.Equal(t, 10, next(capped))
		require.Equal(t, 4000, next(exact))
		before := 10
		for i, quantity := range []int{3000, 2000, 9, 8, 3000, 4000, 0} {
			s.setTo(t, product, "set"+strconv.Itoa(i), quantity)
			require.Equal(t, quantity, next(exact))
			if seen := min(quantity, 10); seen != before { // else the next one would be this one
				require.Equal(t, seen, next(capped), "interpreted %t", interpreted)
				before = seen
			}
		}
	}
}
