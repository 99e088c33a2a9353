package paging

import (
	"cmp"
	"slices"

	"onhand/models"
)

// Named reports whether the stocks of the products that the query names decide its page.
// A search in titles is left to the database, which has rules of its own for letter case.
func (f ProductQuery) Named() bool { return len(f.IDs) > 0 && f.TitleContains == "" && f.Search == "" }

// Page makes the page of a query that is Named as the database would make it. stocks are
// those of its products, each once, nil for unknown ones. after and before are those of the
// products that asked names, nil for unknown ones; only an order by title uses them.
//
// ok is false if such a product is not known: the database then says what is wrong.
func (f ProductQuery) Page(asked Request, stocks []*models.Stock, after, before *models.Stock) (page ProductPage, ok bool) {
	if f.Order == ByTitle && (asked.After != "" && after == nil || asked.Before != "" && before == nil) {
		return ProductPage{}, false
	}
	from, to := f.keyOf(asked.After, after), f.keyOf(asked.Before, before)
	found := make([]*models.Stock, 0, len(stocks))
	for _, s := range stocks {
		if s == nil || !f.matches(s) {
			continue
		}
		key := f.keyOf(s.ProductID, s)
		if (asked.After == "" || key.compare(from) > 0) && (asked.Before == "" || key.compare(to) < 0) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *models.Stock) int { return f.keyOf(a.ProductID, a).compare(f.keyOf(b.ProductID, b)) })
	size := max(asked.First, asked.Last)
	more := len(found) > size
	if asked.Last > 0 {
		found = found[max(0, len(found)-size):]
		page.HasPrev, page.HasNext = more, asked.Before != ""
	} else {
		found = found[:min(len(found), size)]
		page.HasNext, page.HasPrev = more, asked.After != ""
	}
	page.Stocks = found
	page.Products = make([]models.Product, len(found))
	for i, s := range found {
		page.Products[i] = s.Product
	}
	if n := len(found); n > 0 {
		page.Start, page.End = found[0].ProductID, found[n-1].ProductID
	}
	if !page.HasNext && !page.HasPrev {
		total := len(found)
		page.Total = &total
	}
	return page, true
}

// listKey is where a product stands in a list. Texts are ordered byte by byte, as both
// databases order them.
type listKey struct{ title, id string }

func (k listKey) compare(other listKey) int {
	return cmp.Or(cmp.Compare(k.title, other.title), cmp.Compare(k.id, other.id))
}

func (f ProductQuery) keyOf(id string, s *models.Stock) listKey {
	key := listKey{id: id}
	if f.Order == ByTitle && s != nil && s.Title != nil {
		key.title = *s.Title
	}
	return key
}

// matches reports whether a product belongs to the list.
func (f ProductQuery) matches(s *models.Stock) bool {
	if f.Tracked != nil && *f.Tracked != s.Tracked {
		return false
	}
	if (f.LocationID != "" || f.Channel != "") && !slices.ContainsFunc(s.Levels, f.covers) {
		return false
	}
	if len(f.Statuses) == 0 {
		return true
	}
	if f.View != nil {
		s = f.View(s)
	}
	return slices.Contains(f.Statuses, s.Status())
}

// covers reports whether a level is at the places of the query.
func (f ProductQuery) covers(l models.Level) bool {
	return (f.LocationID == "" || l.LocationID == f.LocationID) && (f.Channel == "" || f.Members[l.LocationID])
}
