package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/graph"
	"onhand/graph/transport"
	"onhand/graph/viewer"
	"onhand/models"
	"onhand/models/channel"
	"onhand/models/paging"
	"onhand/models/poison"
)

// comparison is one request that is answered by compiled operations and by gqlgen's
// executor.
type comparison struct {
	document  string
	variables map[string]any
	anonymous bool
	limit     viewer.QuantityCap
	shop      comparedShop
}

// comparedShop is a store with faults. It is the same for both executors, and deterministic.
type comparedShop struct {
	page   []string // product ids of each page; nil: pages fail
	stocks bool     // pages have the stocks of their products
	down   bool     // every call of Stocks fails
	poison string   // calls of Stocks with this product fail
	others bool     // but they return the other products
	stale  string   // other reads of this product fail
	fault  error
	panics bool // instead of failing
	cancel bool // the client goes away when it would fail
}

// The products and channels that a comparedShop has. A product that is gone is in pages,
// and unknown to all other reads.
var (
	comparedProducts = []string{"mug", "tea", "käse \"1\"", "untracked", "backorder", "tab\\"}
	comparedChannels = []string{"web", "shop", "empty"}
)

const goneProduct = "gone"

// store returns a store with the shop. cancel ends the request's context.
func (s comparedShop) store(cancel func()) *fakeStore {
	f := &fakeStore{directory: comparedDirectory()}
	fail := func() error {
		if s.panics {
			panic("as the test wants")
		}
		if s.cancel {
			cancel()
			return context.Canceled
		}
		return s.fault
	}
	f.stocks = func(ids []string) ([]*models.Stock, error) {
		if s.down || slices.Contains(ids, s.poison) && !s.others {
			return nil, fail()
		}
		found := make([]*models.Stock, len(ids))
		for i, id := range ids {
			if id != s.poison {
				found[i] = comparedStock(id, 1)
			}
		}
		if slices.Contains(ids, s.poison) {
			return found, &poison.RowsError{Causes: map[string]error{s.poison: errors.New("a row is bad")}}
		}
		return found, nil
	}
	f.fresh = func(id string) (*models.Stock, error) {
		if id == s.stale {
			return nil, fail()
		}
		return comparedStock(id, 9), nil
	}
	f.products = func() (paging.ProductPage, error) {
		if s.page == nil {
			return paging.ProductPage{}, fail()
		}
		page := paging.ProductPage{HasNext: true, Start: "a", End: "b\n", Total: new(len(s.page))}
		for _, id := range s.page {
			page.Products = append(page.Products, comparedProduct(id, 1))
			if s.stocks {
				page.Stocks = append(page.Stocks, comparedStock(id, 1))
			}
		}
		return page, nil
	}
	return f
}

func comparedDirectory() *models.Directory {
	locations := []models.Location{
		{LocationID: "london", Name: "London \t \"A\"", Active: true, Pickup: true},
		{LocationID: "käln", Name: "Köln\x01", Priority: 7, Active: true},
		{LocationID: "closed", Name: "Closed", Priority: -3},
	}
	return models.NewDirectory(locations, []models.Channel{
		{ChannelID: "empty", Name: "Empty", Sourcing: models.ByPriority, Revision: 1},
		{ChannelID: "shop", Name: "Shop", LocationIDs: []string{"käln", "closed", "lost"}, Sourcing: models.FewestLocations, Buffer: 2, Revision: 3},
		{ChannelID: "web", Name: "Web", LocationIDs: []string{"london", "käln"}, Sourcing: models.ByPriority, Revision: 40_000},
	})
}

func comparedProduct(id string, version int64) models.Product {
	p := models.Product{ProductID: id, Tracked: id != "untracked", InventoryPolicy: models.Deny, LowStockThreshold: 5, Version: version}
	switch id {
	case "mug":
		p.Title, p.MaxPerReservation, p.Buffers = new("Mug <&> \u2028 \x7f"), new(3), channel.Buffers{"web": 4, "shop": 0}
		p.NextRestockAt = new(time.Date(2031, 2, 3, 4, 5, 6, 7_999_999, time.FixedZone("", 3600)))
	case "backorder":
		p.InventoryPolicy, p.BackorderLimit = models.Continue, new(10)
	}
	return p
}

func comparedStock(id string, version int64) *models.Stock {
	if !slices.Contains(comparedProducts, id) && !strings.HasPrefix(id, "many") {
		return nil
	}
	s := &models.Stock{Product: comparedProduct(id, version), Epoch: "e", AsOf: time.Date(2030, 1, 1, 0, 0, 0, int(version)*1_000_000, time.UTC), Source: models.FromCache}
	for i, at := range []string{"london", "käln", "closed", "lost"} {
		s.Levels = append(s.Levels, models.Level{
			ProductID: id, LocationID: at, Active: at != "closed", Priority: i,
			Quantities: models.Quantities{Available: len(id)*7%5 - i, Reserved: i, Committed: 2, Damaged: 1, QualityControl: 3_000_000_000, SafetyStock: 5, Incoming: 6},
		})
	}
	return s
}

// answered is what a client gets.
type answered struct {
	status int
	data   string
	errors []string // sorted
}

// randomDelay is the one part of an error that is not the same twice.
var randomDelay = regexp.MustCompile(`"retryAfterMs":\d+`)

// answer sends the request as often as times says, and returns the last answer.
func (c comparison) answer(t *testing.T, times int, over func(graph.HandlerConfig) http.Handler) (last answered) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": c.document, "variables": c.variables})
	require.NoError(t, err)
	store := &switchedStore{}
	api := over(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: store, Log: slog.New(slog.DiscardHandler), QuantityCap: c.limit}, Closing: transport.NewClosing(),
	})
	if !c.anonymous {
		api = identities[""](api)
	}
	for range times {
		ctx, cancel := context.WithCancel(t.Context())
		store.fakeStore = c.shop.store(cancel)
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		last = answeredBy(t, w)
		cancel()
	}
	return last
}

// switchedStore is another store for each request.
type switchedStore struct{ *fakeStore }

func answeredBy(t *testing.T, w *httptest.ResponseRecorder) answered {
	t.Helper()
	a := answered{status: w.Code}
	if w.Body.Len() == 0 {
		return a
	}
	var body struct {
		Data   json.RawMessage
		Errors []json.RawMessage
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body), "%s", w.Body)
	a.data = string(body.Data)
	for _, e := range body.Errors {
		a.errors = append(a.errors, randomDelay.ReplaceAllString(string(e), `"retryAfterMs":0`))
	}
	slices.Sort(a.errors)
	return a
}

// compare answers a request with both executors, and reports whether it was compiled.
func (c comparison) compare(t *testing.T) (compiled bool, want, got answered) {
	t.Helper()
	var interpreted atomic.Int64
	want = c.answer(t, 1, func(config graph.HandlerConfig) http.Handler {
		config.Interpreted = true
		return graph.Handler(config)
	})
	got = c.answer(t, 3, func(config graph.HandlerConfig) http.Handler { return graph.CompiledHandler(config, &interpreted) })
	return interpreted.Load() == 1, want, got
}

// comparisonRuns is how often the random documents are drawn: of fewer, chance decides how
// many are compiled.
const comparisonRuns = 6

// TestCompiledIsTheSame: compiled operations give the answers of gqlgen's executor, byte
// for byte, for random documents, values and faults.
func TestCompiledIsTheSame(t *testing.T) {
	t.Parallel()
	var counts compiledCounts
	for range comparisonRuns {
		rapid.Check(t, sameAnswers(t, &counts))
	}
	assert.Greater(t, counts.compiled, counts.all/2, "most documents of callers with scopes are compiled")
}

// compiledCounts counts requests of callers who may read every field.
type compiledCounts struct{ all, compiled int }

// sameAnswers draws a request and compares its answers. It counts those that were compiled.
func sameAnswers(t *testing.T, counts *compiledCounts) func(*rapid.T) {
	return func(rt *rapid.T) {
		c := drawComparison(rt)
		was, want, got := c.compare(t)
		if !c.anonymous {
			counts.all++
			if was {
				counts.compiled++
			}
		}
		if !assert.ObjectsAreEqual(want, got) {
			variables, _ := json.Marshal(c.variables)
			rt.Fatalf("%s\n%s\n%+v\nwant %+v\ngot  %+v", c.document, variables, c.shop, want, got)
		}
	}
}

// FuzzCompiled looks for a request whose compiled answer differs.
func FuzzCompiled(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 16 {
		seed := make([]byte, 8<<10)
		for i := range seed {
			seed[i] = byte(random.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) { rapid.MakeFuzz(sameAnswers(t, &compiledCounts{}))(t, data) })
}

// drawComparison draws a document with its variables, and a shop.
func drawComparison(t *rapid.T) comparison {
	g := &documentGenerator{T: t, variables: map[string]any{}, declared: map[string]string{}}
	c := comparison{document: g.document(), variables: g.variables, anonymous: rapid.Bool().Draw(t, "anonymous")}
	c.limit = rapid.SampledFrom([]viewer.QuantityCap{0, 1, 3}).Draw(t, "cap")
	ids := append([]string{goneProduct}, comparedProducts...)
	if rapid.IntRange(0, 9).Draw(t, "pages fail") > 0 {
		c.shop.page = rapid.SliceOfNDistinct(rapid.SampledFrom(ids[rapid.IntRange(0, 1).Draw(t, "gone"):]), 0, 4, rapid.ID).Draw(t, "page")
		c.shop.page = append([]string{}, c.shop.page...)
	}
	c.shop.others = rapid.Bool().Draw(t, "others")
	if c.shop.down = rapid.IntRange(0, 7).Draw(t, "down") == 0; !c.shop.down && (g.together || c.shop.others) {
		c.shop.poison = rapid.SampledFrom(append(ids, "", "")).Draw(t, "poison")
	}
	c.shop.stocks = !c.shop.down && c.shop.poison == "" && !slices.Contains(c.shop.page, goneProduct) && rapid.Bool().Draw(t, "stocks")
	c.shop.stale = rapid.SampledFrom(append(ids, "", "")).Draw(t, "stale")
	c.shop.fault = rapid.SampledFrom([]error{
		models.Unavailable("later", errors.New("why")), models.BadInput("bad %q", "\x01"), errors.New("boom"),
	}).Draw(t, "fault")
	c.shop.panics = rapid.IntRange(0, 9).Draw(t, "panics") == 0
	c.shop.cancel = rapid.IntRange(0, 9).Draw(t, "cancels") == 0
	return c
}

// TestCompiledCorners: single rules, each with the executor that must answer.
func TestCompiledCorners(t *testing.T) {
	t.Parallel()
	many := make([]any, models.StocksMax)
	for i := range many {
		many[i] = "many" + strconv.Itoa(i)
	}
	page := []string{"mug", "tea", goneProduct}
	for name, test := range map[string]struct {
		document    string
		variables   map[string]any
		interpreted bool // by gqlgen's executor
		failing     comparedShop
	}{
		"no selections left":         {document: `{ stock(productId: "mug") { id @skip(if: true) } }`},
		"no field left":              {document: `{ stock(productId: "mug") @skip(if: true) { id } }`},
		"the same field twice":       {document: `{ a: stock(productId: "mug") { version id } a: stock(productId: "mug") { id levels { id } } a: stock(productId: "mug") { levels { available } } }`},
		"one type, many keys":        {document: `{ __typename t: __typename stock(productId: "mug") { __typename levels { __typename location { __typename } } product { __typename stock { __typename } } } }`},
		"Node in fragments":          {document: `query($id: ID!) { node(id: $id) { ...N ... on Node { ...S } } } fragment N on Node { id __typename } fragment S on Stock { version ...N }`, variables: map[string]any{"id": "onhand:Stock:bXVn"}},
		"order of merged fields":     {document: `query($x: Boolean!) { stock(productId: "mug") { version @include(if: $x) id version } }`, variables: map[string]any{"x": false}},
		"skip and include":           {document: `query($x: Boolean! $y: Boolean = true) { stock(productId: "mug") { id @skip(if: $x) @include(if: $y) ... @include(if: $x) { version product { title @skip(if: $y) tracked } } } }`, variables: map[string]any{"x": true}},
		"a condition is null":        {document: `query($x: Boolean = true) { stock(productId: "mug") { id product { title @skip(if: $x) } } }`, variables: map[string]any{"x": nil}, interpreted: true},
		"four conditions":            {document: `query($a: Boolean = true $b: Boolean = true $c: Boolean = true $d: Boolean = true) { stock(productId: "mug") { id @skip(if: $a) version @skip(if: $b) onHand @skip(if: $c) asOf @skip(if: $d) } }`, interpreted: true},
		"Int, BigInt, Time, enum":    {document: `{ stock(productId: "mug", channel: "web", minVersion: 1) { status source version asOf nextRestockAt levels { qualityControl version } product { inventoryPolicy maxPerReservation } } }`},
		"numbers as ids":             {document: `query($ids: [ID!]! $n: BigInt) { stocks(productIds: $ids) { id } stock(productId: 5, minVersion: $n) { id } }`, variables: map[string]any{"ids": []any{1, "mug"}, "n": 1.0}},
		"one id for a list":          {document: `query($ids: [ID!]!) { stocks(productIds: $ids) { id } b: stocks(productIds: "tea") { id } }`, variables: map[string]any{"ids": "mug"}},
		"ids in a literal":           {document: `query($id: ID!) { stocks(productIds: ["tea", $id]) { id } }`, variables: map[string]any{"id": "mug"}},
		"defaults":                   {document: `query($ids: [ID!]! = ["mug"] $ch: ID = "web" $n: Int) { stocks(productIds: $ids, channel: $ch) { id } products(first: $n) { nodes { id } } }`},
		"250 products":               {document: `query($ids: [ID!]!) { stocks(productIds: $ids) { productId levels { id } product { stock { id } } } }`, variables: map[string]any{"ids": many}},
		"more than 1,000 ids":        {document: `query($a: [ID!]! $b: [ID!]!) { a: stocks(productIds: $a) { id } b: stocks(productIds: $b) { id } c: stocks(productIds: $a) { id } d: stocks(productIds: ["tea"]) { id } }`, variables: map[string]any{"a": many, "b": many}},
		"251 products":               {document: `query($ids: [ID!]!) { stocks(productIds: $ids) { id } }`, variables: map[string]any{"ids": append([]any{"mug"}, many...)}},
		"no products":                {document: `{ stocks(productIds: []) { id } }`},
		"null among known ones":      {document: `{ stocks(productIds: ["mug", "none", "mug", "tea"]) { id } }`},
		"null where none may be":     {document: `{ products { nodes { id stock { id } } } locations { id } }`},
		"null in an edge":            {document: `{ products { edges { cursor node { a: stock { id } b: stock(channel: "web") { id } } } } }`},
		"null below a null":          {document: `{ node(id: "` + goneProduct + `") { id } product(id: "` + goneProduct + `") { stock { id } } }`},
		"an unknown channel":         {document: `{ stocks(productIds: ["mug"], channel: "nope") { id } product(id: "mug") { id stock(channel: "nope") { id } } }`},
		"errors below a list":        {document: `{ stocks(productIds: ["mug", "tea"]) { id product { stock(channel: "nope") { id } } } }`},
		"errors in a page":           {document: `{ products { nodes { a: stock(channel: "nope") { id } b: stock(channel: "none") { id } } } }`},
		"a page made of stocks":      {document: `{ stock(productId: "tea") { id } products { nodes { a: stock { id } b: stock(channel: "web") { id } } edges { node { stock { version } } } } }`, failing: comparedShop{page: []string{"mug", "tea"}, stocks: true}},
		"a past stock":               {document: `{ stock(productId: "mug", asOf: "2029-01-01T00:00:00Z") { id asOf levels { id } product { stock { id } } } }`},
		"asOf with minVersion":       {document: `{ stock(productId: "mug", asOf: "2029-01-01T00:00:00Z", minVersion: 1) { id } }`},
		"newer than the cache":       {document: `{ stock(productId: "mug", minVersion: 5) { version product { version stock { version } } } b: stock(productId: "tea", minVersion: 5) { version } }`},
		"the store is down":          {document: `{ a: stock(productId: "mug") { id } b: stocks(productIds: ["tea"]) { id } c: product(id: "mug") { stock { id } } locations { id } }`, failing: comparedShop{down: true, fault: models.Unavailable("later", nil)}},
		"a page, and no stock":       {document: `{ products { nodes { id stock { id } } } }`, failing: comparedShop{down: true, fault: errors.New("boom")}},
		"a poison product":           {document: `{ stocks(productIds: ["mug", "tea"]) { id } }`, failing: comparedShop{poison: "tea", fault: models.BadInput("bad")}},
		"a panic":                    {document: `{ products { nodes { id } } locations { id } }`, failing: comparedShop{panics: true}},
		"a client that goes away":    {document: `{ stocks(productIds: ["mug", "tea"]) { id } locations { id } }`, failing: comparedShop{down: true, cancel: true}},
		"two operations":             {document: `mutation M { releaseReservation(input: {id: "res_1"}) { replayed } } query Q { stock(productId: "mug") { id } }`, interpreted: true},
		"a reservation's id":         {document: `{ node(id: "res_0123456789abcdef0123456789abcdef") { id } stock(productId: "mug") { id } }`, interpreted: true},
		"a poison product of a page": {document: `{ products { nodes { id stock { id } } } }`, failing: comparedShop{page: page, poison: "tea", others: true}},
		"another field":              {document: `{ stock(productId: "mug") { id } __type(name: "Stock") { name } }`, interpreted: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := comparison{document: test.document, variables: test.variables, shop: test.failing}
			if !c.shop.panics && c.shop.page == nil {
				c.shop.page = page
			}
			compiled, want, got := c.compare(t)
			assert.Equal(t, want, got)
			assert.Equal(t, test.interpreted, !compiled, "%+v", want)
		})
	}
}
