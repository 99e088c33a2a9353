package federation_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/federation"
	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/ids"
)

func representation(typeName string, key string, value any) map[string]any {
	return map[string]any{"__typename": typeName, key: value}
}

// TestKeys: a representation names an entity, or none, or is refused by itself.
func TestKeys(t *testing.T) {
	t.Parallel()
	moment := time.UnixMilli(1_900_000_000_123).UTC()
	past := ids.Object{Kind: ids.Stock, ProductID: "mug", ChannelID: "web", Moment: &moment}
	london := ids.Object{Kind: ids.Location, LocationID: "london"}
	const reservation = "res_0123456789abcdef0123456789abcdef"
	for name, test := range map[string]struct {
		sent any
		want ids.Object
		none bool
		live bool
	}{
		"product":                {representation("Product", "id", "mug"), ids.Object{ProductID: "mug"}, false, true},
		"number as a product":    {representation("Product", "id", json.Number("17")), ids.Object{ProductID: "17"}, false, true},
		"literal number":         {representation("Product", "id", int64(17)), ids.Object{ProductID: "17"}, false, true},
		"no product's id":        {representation("Product", "id", " mug"), ids.Object{ProductID: " mug"}, true, false},
		"empty":                  {representation("Product", "id", ""), ids.Object{}, true, false},
		"a global id":            {representation("Product", "id", london.String()), ids.Object{ProductID: london.String()}, true, false},
		"a reservation's id":     {representation("Product", "id", reservation), ids.Object{ProductID: reservation}, true, false},
		"stock":                  {representation("Stock", "id", ids.Object{Kind: ids.Stock, ProductID: "mug"}.String()), ids.Object{Kind: ids.Stock, ProductID: "mug"}, false, true},
		"stock of the past":      {representation("Stock", "id", past.String()), past, false, false},
		"a product's id":         {representation("Stock", "id", "mug"), ids.Object{ProductID: "mug"}, true, false},
		"another type's id":      {representation("Stock", "id", london.String()), london, true, false},
		"no id":                  {representation("Stock", "id", "onhand:Stock:"), ids.Object{Kind: ids.Stock}, true, false},
		"location":               {representation("Location", "id", london.String()), london, false, false},
		"location by its own id": {representation("Location", "locationId", "london"), london, false, false},
		"id comes first":         {map[string]any{"__typename": "Location", "id": "london", "locationId": "london"}, ids.Object{ProductID: "london"}, true, false},
		"no location's id":       {representation("Location", "locationId", ""), ids.Object{Kind: ids.Location}, true, false},
		"reservation":            {representation("Reservation", "id", reservation), ids.Object{Kind: ids.Reservation, ReservationID: reservation}, false, false},
		"more fields":            {map[string]any{"__typename": "Product", "id": "mug", "title": "Mug"}, ids.Object{ProductID: "mug"}, false, true},
	} {
		keys, err := federation.Keys([]any{test.sent})
		require.NoError(t, err, name)
		require.NoError(t, keys[0].Err, name)
		assert.Equal(t, test.want, keys[0].Object, name)
		assert.Equal(t, test.none, keys[0].None, name)
		assert.Equal(t, test.live, keys[0].Live(), name)
	}
}

// TestMalformedRepresentations: each is refused with a code, and shows little of what was
// sent.
func TestMalformedRepresentations(t *testing.T) {
	t.Parallel()
	for message, sent := range map[string][]any{
		"a representation is an object with __typename and the fields of a key": {nil, "mug", json.Number("1"), true, []any{}, map[string]any{}, map[string]any{"id": "mug"}, representation("", "__typename", 5)},
		`this subgraph has no entity of the type "Channel"`:                     {representation("Channel", "id", "onhand:Channel:d2Vi")},
		`this subgraph has no entity of the type "` + strings.Repeat("x", 40):   {representation(strings.Repeat("x", 50), "id", "mug")},
		"a representation of a Product needs id, a text or a whole number": {
			representation("Product", "id", nil), representation("Product", "id", true), representation("Product", "id", json.Number("1.5")),
			representation("Product", "id", map[string]any{}), representation("Product", "sku", "mug"),
		},
		"a representation of a Stock needs id, a text or a whole number":            {representation("Stock", "productId", "mug")},
		"a representation of a Reservation needs id, a text or a whole number":      {representation("Reservation", "id", []any{})},
		"a representation of a Location needs id, a text or a whole number":         {representation("Location", "name", "London")},
		"a representation of a Location needs locationId, a text or a whole number": {representation("Location", "locationId", true)},
	} {
		for _, one := range sent {
			keys, err := federation.Keys([]any{one})
			require.NoError(t, err)
			fault, coded := errors.AsType[*models.Fault](keys[0].Err)
			require.True(t, coded, "%v", one)
			assert.Equal(t, models.CodeBadUserInput, fault.Code)
			assert.Contains(t, fault.Message, message)
			assert.Less(t, len(fault.Message), 120)
			assert.False(t, keys[0].Live())
		}
	}
}

// TestKeysAreBounded: a field has at most guard.EntitiesMax representations.
func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	keys, err := federation.Keys(make([]any, guard.EntitiesMax))
	require.NoError(t, err)
	assert.Len(t, keys, guard.EntitiesMax)
	_, err = federation.Keys(make([]any, guard.EntitiesMax+1))
	require.ErrorContains(t, err, "at most 1000 representations at once, not 1001")
}

// TestServiceQueries: only a document that reads the schema of the subgraph, and nothing
// else, is one.
func TestServiceQueries(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{_service{sdl}}", "query SubgraphIntrospectQuery {\n  # comment\n  _service { sdl __typename }\n}", "{ s: _service { x: sdl } }"} {
		assert.True(t, federation.IsServiceQuery(text), text)
	}
	for _, text := range []string{
		"", "{", "{ _service { sdl } locations { name } }", "{ locations { _service } }", "mutation { _service { sdl } }", "{ _service { sdl } } query B { locations { name } }",
		"{ ...F } fragment F on Query { _service { sdl } }", "{ _service { ... { sdl } } }", "{ _service { sdl } _service { sdl } }", "{ _service { sdl } " + strings.Repeat(" ", 1024) + "}",
		"subscription { _service { sdl } }", "query($a: Int) { _service { sdl } }", "{ _service @skip(if: true) { sdl } }",
	} {
		assert.False(t, federation.IsServiceQuery(text), text)
	}
}
