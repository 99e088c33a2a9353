package database_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database"
)

// page reads one page of ids.
func (s *shop) page(page paging.Request, filter paging.ProductQuery) (ids []string, next, prev bool) {
	s.t.Helper()
	got, err := s.ReadProducts(s.t.(*testing.T).Context(), page, filter)
	require.NoError(s.t, err)
	for _, p := range got.Products {
		ids = append(ids, p.ProductID)
	}
	return ids, got.HasNext, got.HasPrev
}

// Pages return all products once, in the byte order of their ids, on every engine and in
// both directions.
func TestProductPages(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		var products []models.Product
		for _, id := range strangeIDs {
			products = append(products, models.Product{ProductID: id})
		}
		require.NoError(t, s.AddCatalogue(t.Context(), database.Catalogue{Products: products}))
		want := slices.Sorted(slices.Values(strangeIDs))
		const size = 4
		var forwards []string
		for after, more := "", true; more; {
			ids, next, prev := s.page(paging.Request{First: size, After: after}, paging.ProductQuery{})
			require.Equal(t, after != "", prev)
			require.Equal(t, len(forwards)+size < len(want), next)
			forwards = append(forwards, ids...)
			after, more = ids[len(ids)-1], next
		}
		require.Equal(t, want, forwards)
		var backwards []string
		for before, more := "", true; more; {
			ids, next, prev := s.page(paging.Request{Last: size, Before: before}, paging.ProductQuery{})
			require.Equal(t, before != "", next)
			require.Equal(t, len(backwards)+size < len(want), prev)
			backwards = append(ids, backwards...)
			before, more = ids[0], prev
		}
		require.Equal(t, want, backwards)
		all, next, _ := s.page(paging.Request{First: len(want)}, paging.ProductQuery{})
		require.Equal(t, want, all)
		require.False(t, next, "a full last page has none after it")
	})
}

// A window may be bounded on both sides. A cursor need not name a product.
func TestProductWindow(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			s.stock(id)
		}
		ids, next, _ := s.page(paging.Request{First: 9, After: "aa", Before: "dd"}, paging.ProductQuery{})
		require.Equal(t, []string{"b", "c", "d"}, ids)
		require.False(t, next)
		ids, _, prev := s.page(paging.Request{Last: 2, After: "a", Before: "e"}, paging.ProductQuery{})
		require.Equal(t, []string{"c", "d"}, ids)
		require.True(t, prev)
		ids, next, _ = s.page(paging.Request{First: 2, After: "e"}, paging.ProductQuery{})
		require.Empty(t, ids)
		require.False(t, next)
	})
}

// Filters match ids exactly, and titles by any part of them, ignoring case. Every
// character matches itself.
func TestProductFilter(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		titles := map[string]string{
			"1": "Blue Mug", "2": "blue cup", "3": "100% wool", "4": "100 wool", "5": "under_score", "6": "underscore",
			"7": `back\slash`, "8": "backslash", "9": "ÉCLAIR", "10": `it's "quoted"`, "11": "茶碗",
		}
		var products []models.Product
		for id, title := range titles {
			products = append(products, models.Product{ProductID: id, Title: &title})
		}
		products = append(products, models.Product{ProductID: "untitled"})
		require.NoError(t, s.AddCatalogue(t.Context(), database.Catalogue{Products: products}))
		for text, want := range map[string][]string{
			"blue": {"1", "2"}, "BLUE M": {"1"}, "%": {"3"}, "0%": {"3"}, "_": {"5"}, "r_s": {"5"}, `\`: {"7"}, `k\s`: {"7"},
			"ÉCLAIR": {"9"}, `'s "`: {"10"}, "碗": {"11"}, "nothing": nil, "?": nil,
		} {
			ids, _, _ := s.page(paging.Request{First: 50}, paging.ProductQuery{TitleContains: text})
			require.Equal(t, want, ids, text)
		}
		for text, want := range map[string][]string{"blue": {"1", "2"}, "UNTI": {"untitled"}, "1": {"1", "10", "11", "3", "4"}, "%": {"3"}, "_": {"5"}, "nothing": nil} {
			ids, _, _ := s.page(paging.Request{First: 50}, paging.ProductQuery{Search: text})
			require.Equal(t, want, ids, text)
		}
		ids, next, _ := s.page(paging.Request{First: 2}, paging.ProductQuery{IDs: []string{"5", "3", "ghost", "1", "3"}})
		require.Equal(t, []string{"1", "3"}, ids)
		require.True(t, next)
		ids, _, _ = s.page(paging.Request{First: 9, After: "1"}, paging.ProductQuery{IDs: []string{"1", "2", "3"}, TitleContains: "blue"})
		require.Equal(t, []string{"2"}, ids)
	})
}

// The catalogue adds new products and renames known ones. An unchanged product keeps its
// version, and settings never change.
func TestAddCatalogue(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		empty, err := s.Empty(t.Context())
		require.NoError(t, err)
		require.True(t, empty)
		title := func(text string) *string { return &text }
		add := func(text string) {
			require.NoError(t, s.AddCatalogue(t.Context(), database.Catalogue{
				Products:  []models.Product{{ProductID: "mug", Title: title(text)}, {ProductID: "cup"}},
				Locations: []models.Location{{LocationID: "north", Name: text, Priority: 99}},
				Channels:  []models.Channel{{ChannelID: "web", Name: text, LocationIDs: []string{"south", "north"}}},
			}))
		}
		add("one")
		s.settings("mug", "tracked = false, low_stock_threshold = 7")
		version := s.read("mug").Version
		directory := s.number("SELECT directory_version FROM onhand_meta")
		add("one")
		require.Equal(t, version, s.read("mug").Version)
		require.Equal(t, int64(1), s.read("cup").Version)
		require.GreaterOrEqual(t, s.number("SELECT directory_version FROM onhand_meta"), directory)
		add("two")
		mug := s.read("mug")
		require.Equal(t, "two", *mug.Title)
		require.Equal(t, version+1, mug.Version)
		require.Equal(t, 7, mug.LowStockThreshold)
		found, err := s.Directory(t.Context())
		require.NoError(t, err)
		north, _ := found.Location("north")
		require.Equal(t, &models.Location{LocationID: "north", Name: "two", Priority: 1, Active: true}, north)
		members, _ := found.Channel("web")
		require.Equal(t, map[string]bool{"south": true, "north": true}, members.Members)
		empty, err = s.Empty(t.Context())
		require.NoError(t, err)
		require.False(t, empty)
	})
}
