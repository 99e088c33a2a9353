package graph_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/ids"
)

// ofTheAnswer are the fields that belong to an answer and not to its object.
var ofTheAnswer = map[string]bool{
	"Stock.asOf": true, "Stock.source": true, "Reservation.serverTime": true, "StockMovement.cursor": true,
}

// clientCache keeps objects by their ids, as a client does that normalises answers.
type clientCache struct {
	t       *testing.T
	shop    *demoShop
	schema  *ast.Schema
	types   map[string]string // of every id that was seen
	present map[string]string // of those seen since the last write
	objects map[string]string // the content, by id and version
	newest  map[string]any    // versions that were read since the last write, by id
	pushed  bool
	round   int // counts as the version of types without one
}

// TestIdentity: equal id means equal type and, at equal version, equal content, whatever
// field an object was asked through, and at one time an object has one version; and node
// finds every object by its id. The test covers every type of the schema that has an id.
func TestIdentity(t *testing.T) {
	t.Parallel()
	c := &clientCache{
		t: t, shop: newShop(t), schema: generated.NewExecutableSchema(generated.Config{}).Schema(),
		types: map[string]string{}, present: map[string]string{}, objects: map[string]string{}, newest: map[string]any{},
	}
	var answer struct{ ServerTime time.Time }
	require.NoError(t, json.Unmarshal(c.ask(`{ serverTime }`), &answer))
	moment := answer.ServerTime.Format(time.RFC3339Nano)
	c.read(moment)
	reservation := c.reserve("cart", "300")
	for _, write := range []string{
		`mutation { updateReservation(input: {idempotencyKey: "u", id: "` + reservation + `", lines: [{productId: "22423", quantity: 3}, {productId: "85123A", quantity: 2}]}) { reservation %Reservation } }`,
		`mutation { adjustStock(input: {idempotencyKey: "a", reason: RECEIVED, rows: [{productId: "22423", locationId: "brighton-shop", delta: 9}]}) { stocks %Stock } }`,
		`mutation { upsertProducts(input: {idempotencyKey: "p", rows: [{productId: "22423", title: "Another", lowStockThreshold: 60}]}) { products %Product } }`,
		`mutation { upsertLocations(input: {idempotencyKey: "l", rows: [{locationId: "leeds", active: false, priority: 7}]}) { locations %Location } }`,
		`mutation { upsertChannels(input: {idempotencyKey: "c", rows: [{channelId: "new", locationIds: ["leeds"]}]}) { channels %Channel } }`,
		`mutation { commitReservation(input: {idempotencyKey: "o", id: "` + reservation + `", orderRef: "1", lines: [{productId: "22423", quantity: 2}]}) { reservation %Reservation } }`,
		`mutation { cancelReservation(input: {idempotencyKey: "x", id: "` + reservation + `"}) { reservation %Reservation } }`,
	} {
		c.round++
		clear(c.present)
		clear(c.newest)
		c.ask(write)
		c.read(moment, reservation)
	}
	c.round++
	clear(c.present)
	clear(c.newest)
	brief := c.reserve("brief", "1")
	require.Eventually(t, func() bool {
		clear(c.newest) // it may expire between two reads
		return strings.Contains(string(c.ask(`{ reservation(id: "`+brief+`") %Reservation }`)), "EXPIRED")
	}, patience, 20*time.Millisecond)
	c.ask(`{ reservations(first: 2) { nodes %Reservation } }`)
	seen := slices.Compact(slices.Sorted(maps.Values(c.types)))
	assert.Equal(t, c.typesWithID(), seen, "a type with an id that no document of this test asks for")
}

// read asks for everything in several ways, and then for every object that was seen by
// its id.
func (c *clientCache) read(moment string, reservations ...string) {
	for _, channel := range []string{"", `, channel: "brighton"`, `, channel: "web"`} {
		c.ask(`{ stock(productId: "22423"` + channel + `) %Stock }`)
		c.ask(`{ stock(productId: "22423", asOf: "` + moment + `"` + channel + `) %Stock }`)
		c.ask(`{ stocks(productIds: ["85123A", "22423"]` + channel + `) %Stock }`)
		w := watch(c.t, guard.Local(c.shop.api), c.fill(`subscription { stockChanged(productIds: ["22423"]`+channel+`) %Stock }`))
		c.pushed = true // a push can be older than what the database has
		c.keep([]byte(w.next()))
		c.pushed = false
	}
	c.ask(`{ product(id: "22423") %Product }`)
	c.ask(`{ products(filter: {ids: ["22423", "85123A"]}) { nodes %Product } }`)
	c.ask(`{ locations %Location }`)
	c.ask(`{ channels %Channel }`)
	c.ask(`{ stockMovements(first: 5) { nodes %StockMovement } }`)
	c.ask(`{ reservations(first: 2) { nodes %Reservation } }`)
	for _, id := range reservations {
		c.ask(`{ reservation(id: "` + id + `") %Reservation }`)
	}
	for id, name := range maps.Clone(c.present) {
		document := fmt.Sprintf(`{ node(id: %q) { __typename id ... on %s %s } }`, id, name, c.selection(name, 0))
		assert.Contains(c.t, string(c.ask(document)), `"node":{`, "%s %s", name, id)
	}
}

func (c *clientCache) reserve(key, ttl string) (id string) {
	id = reservationIDs.FindString(string(c.ask(`mutation { reserveStock(input: {idempotencyKey: "` + key + `", ttlSeconds: ` + ttl +
		`, lines: [{productId: "22423", quantity: 40}, {productId: "85123A", quantity: 1}]}) { reservation %Reservation } }`)))
	require.NotEmpty(c.t, id)
	return id
}

// ask sends a document, keeps what it answers and returns its data.
func (c *clientCache) ask(document string) json.RawMessage {
	c.t.Helper()
	_, body := post(c.t, c.shop.api, "", request{Query: c.fill(document)})
	return c.keep(body)
}

// fill replaces %Type by a selection of every field of the type and of what it has.
func (c *clientCache) fill(document string) string {
	for name := range c.schema.Types {
		if word := "%" + name + " "; strings.Contains(document, word) {
			document = strings.ReplaceAll(document, word, c.selection(name, 1)+" ")
		}
	}
	return document
}

// selection selects all fields of a type. Of objects with an id deeper than depth it
// selects the id alone.
func (c *clientCache) selection(name string, depth int) string {
	selected := []string{"__typename"}
	for _, f := range c.schema.Types[name].Fields {
		inner := c.schema.Types[f.Type.Name()]
		switch {
		case ofTheAnswer[name+"."+f.Name] || strings.HasPrefix(f.Name, "__"):
		case inner.IsLeafType():
			selected = append(selected, f.Name)
		case depth == 0 && inner.Fields.ForName("id") != nil:
			selected = append(selected, f.Name+" { __typename id }")
		default:
			selected = append(selected, f.Name+" "+c.selection(inner.Name, max(0, depth-1)))
		}
	}
	return "{ " + strings.Join(selected, " ") + " }"
}

// keep checks every object of an answer against those with its id.
func (c *clientCache) keep(body []byte) json.RawMessage {
	c.t.Helper()
	var answer struct {
		Data   map[string]any
		Errors []any
	}
	require.NoError(c.t, json.Unmarshal(body, &answer), "%s", body)
	require.Empty(c.t, answer.Errors)
	c.normalise(answer.Data)
	var raw struct{ Data json.RawMessage }
	require.NoError(c.t, json.Unmarshal(body, &raw))
	return raw.Data
}

// normalise keeps the objects inside a value and returns it with their ids in their
// places.
func (c *clientCache) normalise(value any) any {
	switch value := value.(type) {
	case []any:
		out := make([]any, len(value))
		for i, element := range value {
			out[i] = c.normalise(element)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, field := range value {
			out[name] = c.normalise(field)
		}
		if id, ok := value["id"].(string); ok {
			c.compare(id, out)
			return map[string]any{"id": id}
		}
		return out
	}
	return value
}

func (c *clientCache) compare(id string, object map[string]any) {
	name, _ := object["__typename"].(string)
	require.NotEmpty(c.t, name, id)
	if known := c.types[id]; known != "" {
		require.Equal(c.t, known, name, "one id, two types: %s", id)
	}
	c.types[id], c.present[id] = name, name
	if len(object) <= 2 {
		return // a reference: __typename and id
	}
	version, ok := object["version"]
	if !ok {
		version = fmt.Sprint("round ", c.round)
	}
	if known := c.newest[id]; known != nil && !c.pushed {
		require.Equal(c.t, known, version, "%s %s has another version when it is asked through another field", name, id)
	}
	if !c.pushed {
		c.newest[id] = version
	}
	content, err := json.MarshalIndent(object, "", " ")
	require.NoError(c.t, err)
	key := fmt.Sprint(id, " at ", version)
	if known := c.objects[key]; known != "" {
		require.Equal(c.t, known, string(content), "%s %s", name, key)
	}
	c.objects[key] = string(content)
}

// typesWithID lists the object types of the schema that have an id. All are nodes.
func (c *clientCache) typesWithID() (names []string) {
	for name, of := range c.schema.Types {
		if of.Kind == ast.Object && of.Fields.ForName("id") != nil {
			assert.Contains(c.t, of.Interfaces, "Node", name)
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestViewsOfOneProduct: the id of a stock names the product, the channel and the moment,
// and no version. A moment is a time in milliseconds, however it is written.
func TestViewsOfOneProduct(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	read := func() map[string]string {
		_, body := post(t, s.api, "", request{Query: `{ all: stock(productId: "22423") { id } brighton: stock(productId: "22423", channel: "brighton") { id }
			listed: stocks(productIds: ["22423"], channel: "brighton") { id } ofProduct: product(id: "22423") { stock(channel: "brighton") { id } }
			past: stock(productId: "22423", asOf: "2020-01-01T00:00:00.001Z") { id } same: stock(productId: "22423", asOf: "2020-01-01T02:00:00.0019+02:00") { id }
			later: stock(productId: "22423", asOf: "2020-01-01T00:00:00.002Z") { id } pastInBrighton: stock(productId: "22423", asOf: "2020-01-01T00:00:00.001Z", channel: "brighton") { id } }`})
		found := map[string]string{}
		var answer struct{ Data map[string]json.RawMessage }
		require.NoError(t, json.Unmarshal(body, &answer), "%s", body)
		for name, raw := range answer.Data {
			_, id, ok := strings.Cut(string(raw), `"id":"`)
			require.True(t, ok, "%s", body)
			found[name], _, _ = strings.Cut(id, `"`)
		}
		return found
	}
	before := read()
	post(t, s.api, "", request{Query: `mutation { adjustStock(input: {idempotencyKey: "k", reason: RECEIVED, rows: [{productId: "22423", locationId: "london", delta: 1}]}) { replayed } }`})
	assert.Equal(t, before, read(), "no id has a version")
	assert.Equal(t, before["brighton"], before["listed"])
	assert.Equal(t, before["brighton"], before["ofProduct"])
	assert.Equal(t, before["past"], before["same"])
	distinct := map[string]bool{}
	for _, id := range before {
		distinct[id] = true
		assert.True(t, strings.HasPrefix(id, ids.Prefix), id)
	}
	assert.Len(t, distinct, 5)
}

// TestNodeOfNothing: node answers null for an id of our form that names nothing.
func TestNodeOfNothing(t *testing.T) {
	t.Parallel()
	s := readingShop(t)
	past := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	none := "res_" + strings.Repeat("0", 32)
	texts := []string{"onhand:", "onhand:Stock:", "onhand:Product:MjI0MjM", "onhand:Stock:MjI0MjM.", "onhand:Stock:MjI0MjM...", "onhand:Stock:gA", none}
	for _, n := range []ids.Object{
		{Kind: ids.Stock, ProductID: "none"},
		{Kind: ids.Stock, ProductID: "22423", ChannelID: "none"},
		{Kind: ids.Stock, ProductID: "none", Moment: &past},
		{Kind: ids.Stock, ProductID: "a\nb"},
		{Kind: ids.Level, ProductID: "22423"},
		{Kind: ids.Level, ProductID: "22423", LocationID: "none"},
		{Kind: ids.Level, ProductID: "none", LocationID: "london"},
		{Kind: ids.Level, ProductID: "22423", LocationID: "london", Moment: &past},
		{Kind: ids.Location, LocationID: "none"},
		{Kind: ids.Channel, ChannelID: "none"},
		{Kind: ids.Movement, MovementID: 1 << 40, ProductID: "22423"},
		{Kind: ids.Line, ReservationID: none, ProductID: "22423"},
		{Kind: ids.Line, ReservationID: "cart", ProductID: "22423"},
		{Kind: ids.Allocation, ReservationID: none, ProductID: "22423", LocationID: "london"},
	} {
		texts = append(texts, n.String())
	}
	for _, id := range texts {
		_, body := post(t, s.api, "", request{Query: `query($id: ID!) { node(id: $id) { id } }`, Variables: map[string]any{"id": id}})
		assert.JSONEq(t, `{"data":{"node":null}}`, string(body), id)
	}
	for _, n := range []ids.Object{
		{Kind: ids.Stock, ProductID: "22423", Moment: &past},
		{Kind: ids.Level, ProductID: "22423", LocationID: "london", Moment: &past},
		{Kind: ids.Movement, MovementID: 1, ProductID: "22423"},
	} {
		_, body := post(t, s.api, "anonymous", request{Query: `query($id: ID!) { node(id: $id) { id } }`, Variables: map[string]any{"id": n.String()}})
		assert.Contains(t, string(body), string(models.CodeUnauthenticated), n)
	}
}

// TestIDsOfOtherTypesAreRefused: no product gets an id with the prefix of global ids or
// the form of a reservation's id.
func TestIDsOfOtherTypesAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i, id := range []string{"onhand:Stock:MjI0MjM", "onhand:", "res_" + strings.Repeat("a", 32)} {
		for name, write := range map[string]string{
			"upsertProducts": `rows: [{productId: $id}]`,
			"setStock":       `reason: CYCLE_COUNT, rows: [{productId: $id, locationId: "london", quantity: 1, ignoreStale: true}]`,
			"adjustStock":    `reason: RECEIVED, rows: [{productId: $id, locationId: "london", delta: 1}]`,
			"moveStock":      `reason: OTHER, rows: [{productId: $id, quantity: 1, from: {locationId: "london"}, to: {locationId: "leeds"}}]`,
			"reserveStock":   `lines: [{productId: $id, quantity: 1}]`,
		} {
			_, body := post(t, s.api, "", request{
				Query:     fmt.Sprintf(`mutation($id: ID!) { %s(input: {idempotencyKey: "%d", %s}) { errors { message path code } } }`, name, i, write),
				Variables: map[string]any{"id": id},
			})
			assert.Equal(t, 1, strings.Count(string(body), `"INVALID_INPUT"`), "%s: %s", name, body)
			assert.Contains(t, string(body), `"productId"]`, name)
		}
		_, body := post(t, s.api, "", request{Query: `query($id: ID!) { product(id: $id) { id } }`, Variables: map[string]any{"id": id}})
		assert.Contains(t, string(body), string(models.CodeBadUserInput))
	}
}
