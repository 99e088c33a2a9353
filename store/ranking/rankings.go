package ranking

import (
	"context"
	"slices"
	"sync"
	"time"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/readthrough"
)

const (
	// ageMax is how old a ranking may be: pages of one list fit together for so long.
	ageMax = 10 * time.Second
	// rankingsMax and keptBytesMax bound the rankings that are kept. The longest with ids of 20
	// characters takes 7 MB.
	rankingsMax  = 4
	keptBytesMax = 32 << 20
	// idHeaderBytes is what a string takes beside its text.
	idHeaderBytes = 16
	// pageWindow is how many products are looked at together, and pageWindowsMax how often for
	// one page: 10,000 products.
	pageWindow     = 250
	pageWindowsMax = 40
)

// RankSource sorts the products that match a filter.
type RankSource interface {
	// RankProducts returns the ids of the products that match a filter, statuses apart, by
	// quantity.
	//
	// Errors: bad input for a filter that too many match.
	RankProducts(ctx context.Context, filter paging.ProductQuery) ([]string, error)
}

// RankedStocks reads stocks in the order of ids, nil for unknown products.
type RankedStocks interface {
	Stocks(ctx context.Context, ids []string) ([]*models.Stock, error)
}

// Rankings keep the last rankings. They are safe for concurrent use.
type Rankings struct {
	source  RankSource
	stocks  RankedStocks
	reading readthrough.SharedReads[*ranking]

	mu   sync.Mutex
	kept map[string]*ranking
	now  func() time.Time
}

// ranking is a list of ids as of a moment. Nothing changes it.
type ranking struct {
	ids   []string
	bytes int // of the ids and their headers
	made  time.Time
}

func newRanking(ids []string, made time.Time) *ranking {
	bytes := idHeaderBytes * cap(ids)
	for _, id := range ids {
		bytes += len(id)
	}
	return &ranking{ids, bytes, made}
}

// New makes Rankings.
func New(source RankSource, stocks RankedStocks) *Rankings {
	return &Rankings{source: source, stocks: stocks, kept: map[string]*ranking{}, now: time.Now}
}

// Page reads a page of the list of a filter.
//
// Errors: bad input for a position that the list does not have, and for a filter that too
// many products match.
func (r *Rankings) Page(ctx context.Context, asked paging.Request, filter paging.ProductQuery) (paging.ProductPage, error) {
	ranked, err := r.load(ctx, filter)
	if err != nil {
		return paging.ProductPage{}, err
	}
	from, err := positionOf(ranked.ids, asked.After, -1) // exclusive, as to
	if err != nil {
		return paging.ProductPage{}, err
	}
	to, err := positionOf(ranked.ids, asked.Before, len(ranked.ids))
	if err != nil {
		return paging.ProductPage{}, err
	}
	s := &pageSearch{Rankings: r, filter: filter, ids: ranked.ids, from: from, to: to, backwards: asked.Last > 0, size: max(asked.First, asked.Last)}
	if err := s.run(ctx); err != nil {
		return paging.ProductPage{}, err
	}
	return s.page(asked), nil
}

// positionOf returns where an id is in the list; otherwise, where none is asked for.
func positionOf(ids []string, id string, otherwise int) (int, error) {
	if id == "" {
		return otherwise, nil
	}
	if at := slices.Index(ids, id); at >= 0 {
		return at, nil
	}
	return 0, models.BadInput("the product of this cursor is not in the list any more")
}

// load returns the ranking of a filter, at most ageMax old.
func (r *Rankings) load(ctx context.Context, filter paging.ProductQuery) (*ranking, error) {
	filter.Statuses = nil
	key := filter.Key(paging.Request{})
	if ranked := r.recent(key); ranked != nil {
		return ranked, nil
	}
	return r.reading.Load(ctx, key, func(ctx context.Context) (*ranking, error) {
		if ranked := r.recent(key); ranked != nil { // another caller was faster
			return ranked, nil
		}
		made := r.now()
		ids, err := r.source.RankProducts(ctx, filter)
		if err != nil {
			return nil, err
		}
		ranked := newRanking(ids, made)
		r.keep(key, ranked)
		return ranked, nil
	})
}

func (r *Rankings) recent(key string) *ranking {
	r.mu.Lock()
	defer r.mu.Unlock()
	ranked := r.kept[key]
	if ranked == nil || r.now().Sub(ranked.made) >= ageMax {
		return nil
	}
	return ranked
}

// keep keeps a ranking in place of the oldest ones.
func (r *Rankings) keep(key string, ranked *ranking) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.kept, key)
	for len(r.kept) > 0 && (len(r.kept) >= rankingsMax || r.keptBytes()+ranked.bytes > keptBytesMax) {
		oldest := ""
		for k, kept := range r.kept {
			if oldest == "" || kept.made.Before(r.kept[oldest].made) {
				oldest = k
			}
		}
		delete(r.kept, oldest)
	}
	r.kept[key] = ranked
}

func (r *Rankings) keptBytes() (bytes int) {
	for _, ranked := range r.kept {
		bytes += ranked.bytes
	}
	return bytes
}

// pageSearch searches one page between two positions.
type pageSearch struct {
	*Rankings
	filter    paging.ProductQuery
	ids       []string
	from, to  int // exclusive
	backwards bool
	size      int

	found []*models.Stock
	more  bool // there is another product after the page
}

// run looks at some products after the others, until the page is full, nothing is left, or
// pageWindowsMax is reached.
func (s *pageSearch) run(ctx context.Context) error {
	for range pageWindowsMax {
		window := s.window()
		if len(window) == 0 || s.more {
			return nil
		}
		stocks, err := s.stocks.Stocks(ctx, window)
		if err != nil {
			return err
		}
		if s.backwards {
			stocks = slices.Clone(stocks)
			slices.Reverse(stocks)
		}
		for _, stock := range stocks {
			matches := stock != nil && s.matches(stock)
			if matches && len(s.found) == s.size {
				s.more = true
				return nil
			}
			if matches {
				s.found = append(s.found, stock)
			}
			s.step()
		}
	}
	return nil
}

// window returns the next products to look at, in the order of the list.
func (s *pageSearch) window() []string {
	n := max(0, min(pageWindow, s.to-s.from-1)) // a list made anew may have the positions in another order
	if len(s.filter.Statuses) == 0 {
		n = min(n, s.size+1-len(s.found))
	}
	if s.backwards {
		return s.ids[s.to-n : s.to]
	}
	return s.ids[s.from+1 : s.from+1+n]
}

// step passes one product.
func (s *pageSearch) step() {
	if s.backwards {
		s.to--
	} else {
		s.from++
	}
}

func (s *pageSearch) matches(stock *models.Stock) bool {
	if len(s.filter.Statuses) == 0 {
		return true
	}
	if s.filter.View != nil {
		stock = s.filter.View(stock)
	}
	return slices.Contains(s.filter.Statuses, stock.Status())
}

// page is the page that was found. Where the search stopped early, it says where to go on.
func (s *pageSearch) page(asked paging.Request) paging.ProductPage {
	left := s.to-s.from-1 > 0
	page := paging.ProductPage{Stocks: s.found, HasNext: left, HasPrev: asked.After != ""}
	if s.backwards {
		slices.Reverse(page.Stocks)
		page.HasNext, page.HasPrev = asked.Before != "", left
	}
	page.Products = make([]models.Product, len(page.Stocks))
	for i, stock := range page.Stocks {
		page.Products[i] = stock.Product
	}
	if n := len(page.Stocks); n > 0 {
		page.Start, page.End = page.Stocks[0].ProductID, page.Stocks[n-1].ProductID
	}
	switch {
	case left && s.backwards && s.to < len(s.ids):
		page.Start = s.ids[s.to]
	case left && !s.backwards && s.from >= 0:
		page.End = s.ids[s.from]
	}
	if !page.HasNext && !page.HasPrev {
		total := len(page.Stocks)
		page.Total = &total
	}
	return page
}
