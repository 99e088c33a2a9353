package paging

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// Requests for different pages have different keys: each field of both types counts, and
// texts do not run into each other.
func TestKey(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	keys := map[string]int{}
	for i, page := range []struct {
		q     ProductQuery
		asked Request
	}{
		{}, {asked: Request{First: 1}}, {asked: Request{Last: 1}}, {asked: Request{After: "a"}}, {asked: Request{Before: "a"}},
		{q: ProductQuery{IDs: []string{"a"}}}, {q: ProductQuery{IDs: []string{"a", "b"}}}, {q: ProductQuery{IDs: []string{"a1:b"}}},
		{q: ProductQuery{TitleContains: "a"}}, {q: ProductQuery{Search: "a"}}, {q: ProductQuery{Tracked: &yes}}, {q: ProductQuery{Tracked: &no}},
		{q: ProductQuery{LocationID: "a"}}, {q: ProductQuery{Channel: "a"}}, {q: ProductQuery{Order: ByTitle}},
		{q: ProductQuery{Statuses: []models.StockStatus{models.InStock}}},
		{q: ProductQuery{Statuses: []models.StockStatus{models.InStock, models.LowStock}}},
		{q: ProductQuery{LocationID: "a", Channel: "b"}}, {q: ProductQuery{LocationID: "a1:b"}},
	} {
		key := page.q.Key(page.asked)
		other, taken := keys[key]
		require.False(t, taken, "%d and %d", i, other)
		keys[key] = i
		again := page.q
		again.View, again.Members, again.Buffer = func(s *models.Stock) *models.Stock { return s }, map[string]bool{"a": true}, 3
		require.Equal(t, key, again.Key(page.asked))
	}
	require.Equal(t, 11, reflect.TypeFor[ProductQuery]().NumField(), "Key must have the new field, or not depend on it")
	require.Equal(t, 4, reflect.TypeFor[Request]().NumField())
}
