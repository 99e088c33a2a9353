package pages

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"gorm.io/gorm"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database/dialect"
)

// ReadProducts reads one page of products, in the order asked.
//
// Errors: bad input for a position that names no product.
func (p *Lists) ReadProducts(ctx context.Context, page paging.Request, filter paging.ProductQuery) (paging.ProductPage, error) {
	s := &productSearch{Lists: p, filter: filter, backwards: page.Last > 0, wanted: max(page.First, page.Last) + 1}
	s.from, s.to = s.position(page.After), s.position(page.Before)
	if err := s.run(ctx); err != nil {
		return paging.ProductPage{}, err
	}
	if len(s.found) == 0 { // as if behind the end of the list, if the product of a cursor is gone
		for _, id := range []string{page.After, page.Before} {
			if err := s.checkPosition(ctx, id); err != nil {
				return paging.ProductPage{}, err
			}
		}
	}
	return s.page(page), nil
}

// productKey is where a product stands in the list: its title, in the order of titles,
// and its id. The zero key is none. Of a cursor only the id is known: the statement that
// compares with it looks its title up.
type productKey struct {
	title, id string
	cursor    bool
}

// position is where the product stands that a cursor names.
func (s *productSearch) position(id string) productKey {
	return productKey{id: id, cursor: id != "" && s.filter.Order == paging.ByTitle}
}

// checkPosition refuses the cursor of a product that is gone.
func (s *productSearch) checkPosition(ctx context.Context, id string) error {
	if !s.position(id).cursor {
		return nil
	}
	db, cancel := s.ReadSession(ctx)
	defer cancel()
	var titles []string
	if err := db.Table("products p").Where("p.product_id = ?", id).Pluck("coalesce(p.title, '')", &titles).Error; err != nil {
		return s.Fault(err)
	}
	if len(titles) == 0 {
		return models.BadInput("there is no product at this cursor any more")
	}
	return nil
}

// productSearch searches one page between two positions.
type productSearch struct {
	*Lists
	filter    paging.ProductQuery
	from, to  productKey // exclusive; zero is the end of the list
	backwards bool
	wanted    int // one more than the page holds

	found []models.Product
	ended bool // nothing is left between from and to
}

// run looks through one window after the other, until enough is found, nothing is left,
// or productWindowsMax is reached.
func (s *productSearch) run(ctx context.Context) error {
	for range productWindowsMax {
		if s.ended || len(s.found) >= s.wanted {
			return nil
		}
		edge, last, err := s.window(ctx)
		if err != nil {
			return err
		}
		candidates, err := s.candidates(ctx, edge)
		if err != nil {
			return err
		}
		if len(candidates) == s.candidatesWanted() { // the window may have more behind the last one
			edge, last = keyOf(candidates[len(candidates)-1]), false
		}
		if err := s.keep(ctx, candidates); err != nil {
			return err
		}
		if s.backwards {
			s.to = edge
		} else {
			s.from = edge
		}
		s.ended = last
	}
	return nil
}

func keyOf(p models.Product) productKey {
	at := productKey{id: p.ProductID}
	if p.Title != nil {
		at.title = *p.Title
	}
	return at
}

// window returns where the next window ends, and whether it is the last one.
func (s *productSearch) window(ctx context.Context) (edge productKey, last bool, err error) {
	if !s.filter.Searches() { // every product counts, or few are named
		return productKey{}, true, nil
	}
	db, cancel := s.ReadSession(ctx)
	defer cancel()
	var edges []struct{ Title, ProductID string }
	err = s.between(db.Table("products p").Select("coalesce(p.title, '') AS title, p.product_id"), productKey{}).
		Offset(s.Bounds.Products - 1).Limit(1).Scan(&edges).Error
	if err != nil || len(edges) == 0 {
		return productKey{}, true, s.Fault(err)
	}
	return productKey{title: edges[0].Title, id: edges[0].ProductID}, false, nil
}

// candidatesWanted bounds the candidates of one SELECT.
func (s *productSearch) candidatesWanted() int {
	if len(s.filter.Statuses) > 0 {
		return s.Bounds.Candidates
	}
	return s.wanted - len(s.found)
}

// candidates reads the products of a window that may match; edge is its last product.
func (s *productSearch) candidates(ctx context.Context, edge productKey) (found []models.Product, err error) {
	db, cancel := s.ReadSession(ctx)
	defer cancel()
	query := s.narrowed(db.Table("products p").Select(dialect.ProductColumns))
	rows, err := s.between(query, edge).Limit(s.candidatesWanted()).Rows()
	if err != nil {
		return nil, s.Fault(err)
	}
	defer rows.Close()
	err = dialect.Each(rows, dialect.ScanProduct, func(p *models.Product) { found = append(found, *p) })
	return found, s.Fault(err)
}

// between narrows a query to what lies between the positions, in the order of the
// search; edge, where not zero, is the last product of a window.
func (s *productSearch) between(query *gorm.DB, edge productKey) *gorm.DB {
	key, direction := s.key(), ""
	if s.from != (productKey{}) {
		query = query.Where(key+" > ?", s.values(s.from))
	}
	if s.to != (productKey{}) {
		query = query.Where(key+" < ?", s.values(s.to))
	}
	if s.backwards {
		direction = " DESC"
		if edge != (productKey{}) {
			query = query.Where(key+" >= ?", s.values(edge))
		}
	} else if edge != (productKey{}) {
		query = query.Where(key+" <= ?", s.values(edge))
	}
	if s.filter.Order == paging.ByTitle {
		query = query.Order(s.Fragments.TitleKey + direction)
	}
	return query.Order("p.product_id" + direction)
}

// key is the list's key, and values are a position's values of it.
func (s *productSearch) key() string {
	if s.filter.Order == paging.ByTitle {
		return "(" + s.Fragments.TitleKey + ", p.product_id)"
	}
	return "p.product_id"
}

func (s *productSearch) values(at productKey) any {
	switch {
	case at.cursor:
		return []any{gorm.Expr("(SELECT coalesce(title, '') FROM products WHERE product_id = ?)", at.id), at.id}
	case s.filter.Order == paging.ByTitle:
		return []any{at.title, at.id}
	}
	return at.id
}

// narrowed adds the conditions of the filter that SQL can decide, and leaves out
// products that cannot have one of the statuses.
func (s *productSearch) narrowed(query *gorm.DB) *gorm.DB {
	f := s.filter
	if len(f.IDs) > 0 {
		query = query.Where("p.product_id IN ?", f.IDs)
	}
	if f.TitleContains != "" {
		query = query.Where(`lower(p.title) LIKE lower(?) ESCAPE '\'`, "%"+escapeLike(f.TitleContains)+"%")
	}
	if f.Search != "" {
		text := "%" + escapeLike(f.Search) + "%"
		query = query.Where(`(lower(p.title) LIKE lower(?) ESCAPE '\' OR lower(p.product_id) LIKE lower(?) ESCAPE '\')`, text, text)
	}
	if f.Tracked != nil {
		query = query.Where("p.tracked = ?", *f.Tracked)
	}
	at, args := levelsAt(f)
	if at != "" {
		query = query.Where("EXISTS (SELECT 1 FROM stock_levels l WHERE l.product_id = p.product_id"+at+")", args...)
	}
	if len(f.Statuses) > 0 && !slices.Contains(f.Statuses, models.InStock) {
		// A product with more units at active locations is IN_STOCK and is left out here.
		// A channel's buffer comes off its units. A product with buffers of its own is
		// always a candidate.
		total := "coalesce((SELECT sum(l.available) FROM stock_levels l JOIN locations c ON c.location_id = l.location_id" +
			" WHERE l.product_id = p.product_id AND c.active" + at + "), 0)"
		own := ""
		if f.Channel != "" {
			own = "p.channel_buffers IS NOT NULL OR "
		}
		query = query.Where("p.tracked AND ("+own+total+" <= p.low_stock_threshold + ?)", append(args, f.Buffer)...)
	}
	return query
}

// levelsAt is the condition on levels l that a filter's places make; empty without.
func levelsAt(f paging.ProductQuery) (condition string, args []any) {
	if f.LocationID != "" {
		condition, args = condition+" AND l.location_id = ?", append(args, f.LocationID)
	}
	if f.Channel != "" {
		condition += " AND l.location_id IN (SELECT m.location_id FROM channel_locations m WHERE m.channel_id = ?)"
		args = append(args, f.Channel)
	}
	return condition, args
}

// RankProducts returns the ids of the products that match a filter, statuses apart, by
// their available total over its active locations. Products that are not tracked come last.
//
// Errors: bad input for a filter that more than rankedMax products match, or whose ids take
// more than rankedBytesMax.
func (p *Lists) RankProducts(ctx context.Context, filter paging.ProductQuery) ([]string, error) {
	filter.Statuses = nil
	at, args := levelsAt(filter)
	db, cancel := p.ReadSession(ctx)
	defer cancel()
	s := &productSearch{Lists: p, filter: filter}
	query := s.narrowed(db.Table("products p").Select("p.product_id")).
		Joins("LEFT JOIN (SELECT l.product_id, sum(l.available) AS available FROM stock_levels l JOIN locations c ON c.location_id = l.location_id"+
			" WHERE c.active"+at+" GROUP BY l.product_id) q ON q.product_id = p.product_id", args...).
		Order("p.tracked DESC, coalesce(q.available, 0), p.product_id").Limit(p.Bounds.Ranked + 1)
	rows, err := query.Rows()
	if err != nil {
		return nil, p.Fault(err)
	}
	defer rows.Close()
	ids, err := p.readRanked(rows)
	return ids, p.Fault(err)
}

// readRanked reads the ids. It stops at the bounds.
func (p *Lists) readRanked(rows *sql.Rows) (ids []string, err error) {
	bytes := 0
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		bytes += len(id) + rankedIDBytes
		if len(ids) == p.Bounds.Ranked {
			return nil, models.BadInput("more than %d products match; an order by quantity needs a narrower filter", p.Bounds.Ranked)
		}
		if bytes > p.Bounds.RankedBytes {
			return nil, models.BadInput("the ids of the products that match take more than %d bytes; an order by quantity needs a narrower filter", p.Bounds.RankedBytes)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// keep adds the candidates that match to what was found. A status needs the stock.
func (s *productSearch) keep(ctx context.Context, candidates []models.Product) error {
	if len(s.filter.Statuses) == 0 {
		s.found = append(s.found, candidates...)
		return nil
	}
	ids := make([]string, len(candidates))
	for i := range candidates {
		ids[i] = candidates[i].ProductID
	}
	stocks, err := s.rows.StocksOf(ctx, ids)
	if err != nil {
		return err
	}
	status := make(map[string]models.StockStatus, len(stocks))
	for _, stock := range stocks {
		if s.filter.View != nil {
			stock = s.filter.View(stock)
		}
		status[stock.ProductID] = stock.Status()
	}
	for _, product := range candidates {
		if slices.Contains(s.filter.Statuses, status[product.ProductID]) {
			s.found = append(s.found, product)
		}
	}
	return nil
}

// page is the page that was found.
func (s *productSearch) page(asked paging.Request) paging.ProductPage {
	more := len(s.found) >= s.wanted
	stopped := !more && !s.ended
	if more {
		s.found = s.found[:s.wanted-1]
	}
	if s.backwards {
		slices.Reverse(s.found)
	}
	page := paging.ProductPage{Products: s.found}
	if n := len(s.found); n > 0 {
		page.Start, page.End = s.found[0].ProductID, s.found[n-1].ProductID
	}
	if s.backwards {
		page.HasPrev, page.HasNext = more || stopped, asked.Before != ""
		if stopped {
			page.Start = s.to.id
		}
	} else {
		page.HasNext, page.HasPrev = more || stopped, asked.After != ""
		if stopped {
			page.End = s.from.id
		}
	}
	if !page.HasNext && !page.HasPrev {
		total := len(s.found)
		page.Total = &total
	}
	return page
}
