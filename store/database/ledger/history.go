package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"onhand/models"
	"onhand/models/history"
	"onhand/store/database/dialect"
)

// Bounds of reading histories.
const (
	// historyEntriesFirst is how many of a product's newest entries the first SELECT reads.
	// Each further one reads historyGrowth times as many of the products whose entries do
	// not reach back far enough.
	historyEntriesFirst = 256
	historyGrowth       = 8
	// historyEntriesMax bounds the entries of all products of one request: some 0.1 s.
	historyEntriesMax = 60_000
	// historyClockStep is how far the order of ids may differ from that of times: after a
	// failover the clock may have gone back.
	historyClockStep = 10 * time.Second
)

// newestID is above all movement ids.
const newestID = math.MaxInt64

// Histories reads how the levels of products changed: those of today without what the
// ledger says came after each moment. It returns one history for each stock of today, in
// their order. Where the ledger of a product is too long, its oldest moments are not known.
func (l *Ledger) Histories(ctx context.Context, today []*models.Stock, moments history.HistoryMoments) ([]*history.StockHistory, error) {
	s := historySearch{Ledger: l, moments: moments, products: make([]pastLevels, len(today))}
	open := make([]MovementRef, len(today))
	for i, stock := range today {
		s.products[i].levels = map[string]*pastLevel{}
		open[i] = MovementRef{ProductID: stock.ProductID, MovementID: newestID, Number: i}
	}
	budget := l.Windows.HistoryMost
	for limit := l.Windows.HistoryFirst; len(open) > 0; limit *= historyGrowth {
		limit = min(limit, budget/int64(len(open)))
		if limit == 0 {
			break
		}
		read, err := s.step(ctx, open, limit)
		if err != nil {
			return nil, err
		}
		budget -= read
		open = s.unfinished(open, limit)
	}
	for i := range s.products {
		if p := &s.products[i]; p.oldest != 0 {
			p.began = moments.From(time.UnixMicro(p.oldest))
		}
	}
	for _, ref := range open {
		p := &s.products[ref.Number]
		p.known, p.began = moments.From(time.UnixMicro(p.oldest)), 0
	}
	histories := make([]*history.StockHistory, len(today))
	for i, stock := range today {
		histories[i] = s.products[i].history(stock, moments)
	}
	return histories, nil
}

// historySearch collects the entries of products until they reach back to the first
// moment.
type historySearch struct {
	*Ledger
	moments  history.HistoryMoments
	products []pastLevels
}

// pastLevels is what is known of one product.
type pastLevels struct {
	levels map[string]*pastLevel // by location
	read   int64                 // entries, in the last step
	oldest int64                 // the time of the oldest entry, in microseconds
	lowest int64                 // the id of the oldest entry
	known  int                   // the first moment that is known
	began  int                   // the first moment with a movement; 0 where there may be older ones
}

// pastLevel is a level of today, and what it gained before each moment since the one
// before.
type pastLevel struct {
	models.Level
	gained map[int]models.Quantities
}

// step reads the next entries of products, at most limit of each, and returns how many it
// read. The first step reads the levels of today, in the same SELECT: they belong to the
// same moment.
func (s *historySearch) step(ctx context.Context, open []MovementRef, limit int64) (read int64, err error) {
	for _, ref := range open {
		s.products[ref.Number].read = 0
	}
	query := historySelect(s.Fragments, open[0].MovementID == newestID)
	raw, _ := json.Marshal(open) // plain structs; cannot fail
	end, step, count := s.moments.End().UnixMicro(), s.moments.Step.Microseconds(), int64(s.moments.Count)
	args := []any{string(raw), end, end + (count-1)*step, count, end, step - 1, step}
	for range strings.Count(s.Fragments.EntriesBefore, "?") {
		args = append(args, limit)
	}
	db, cancel := s.ReadSession(ctx)
	defer cancel()
	r, err := db.Raw(query, args...).Rows()
	if err != nil {
		return 0, s.Fault(err)
	}
	defer r.Close()
	err = dialect.Each(r, scanGain, func(g *levelGain) {
		s.products[g.number].add(g)
		read += g.entries
	})
	return read, s.Fault(err)
}

// unfinished returns the products whose entries do not reach back far enough.
func (s *historySearch) unfinished(open []MovementRef, limit int64) (rest []MovementRef) {
	enough := s.moments.End().Add(-historyClockStep).UnixMicro()
	for _, ref := range open {
		if p := &s.products[ref.Number]; p.read >= limit && p.oldest > enough {
			ref.MovementID = p.lowest
			rest = append(rest, ref)
		}
	}
	return rest
}

// levelGain is a level of today, where moment is negative; else what it gained between two
// moments.
type levelGain struct {
	number int
	models.Level
	moment                  int
	entries, oldest, lowest int64
}

func scanGain(r dialect.Rows) (*levelGain, error) {
	var g levelGain
	q := &g.Quantities
	err := r.Scan(&g.number, &g.LocationID, &g.moment, &q.Available, &q.Reserved, &q.Committed, &q.Damaged, &q.QualityControl, &q.SafetyStock, &q.Incoming,
		&g.entries, &g.oldest, &g.lowest, &g.Active, &g.Priority)
	return &g, err
}

func (p *pastLevels) add(g *levelGain) {
	level := p.levels[g.LocationID]
	if level == nil {
		level = &pastLevel{gained: map[int]models.Quantities{}}
		level.LocationID, level.Active, level.Priority = g.LocationID, g.Active, g.Priority
		p.levels[g.LocationID] = level
	}
	if g.moment < 0 {
		level.Quantities = g.Quantities
		return
	}
	level.gained[g.moment] = level.gained[g.moment].Plus(g.Quantities)
	if p.lowest == 0 || g.lowest < p.lowest {
		p.lowest = g.lowest
	}
	if p.oldest == 0 || g.oldest < p.oldest {
		p.oldest = g.oldest
	}
	p.read += g.entries
}

func (p *pastLevels) history(today *models.Stock, moments history.HistoryMoments) *history.StockHistory {
	h := &history.StockHistory{Product: today.Product, Moments: moments, Known: p.known, Began: p.began}
	for _, level := range p.levels {
		level.ProductID = today.ProductID
		series := level.series(moments.Count)
		if series.Quantities != (models.Quantities{}) { // older entries were deleted
			h.Began = 0
		}
		h.Series = append(h.Series, series)
	}
	slices.SortFunc(h.Series, func(a, b history.LevelSeries) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.LocationID, b.LocationID))
	})
	return h
}

// series goes back from today. What was gained by the first moment stays in it.
func (p *pastLevel) series(count int) history.LevelSeries {
	series := history.LevelSeries{Level: p.Level}
	for _, moment := range slices.Backward(slices.Sorted(maps.Keys(p.gained))) {
		if moment == 0 {
			break
		}
		if moment < count {
			series.Changes = append(series.Changes, history.LevelChange{Moment: moment, Quantities: series.Quantities})
		}
		series.Quantities = series.Minus(p.gained[moment])
	}
	slices.Reverse(series.Changes)
	return series
}

// historySelect adds up entries by location and moment. Parameters: the products, then
// those of the moment, then the limits.
func historySelect(f *dialect.Fragments, first bool) string {
	levels := ""
	if first {
		levels = `SELECT a.n, l.location_id, -1 AS moment, ` + dialect.PerState("l.$", ", ") + `, 0 AS entries, 0 AS oldest, 0 AS lowest
			FROM a JOIN stock_levels l ON l.product_id = a.product_id
			UNION ALL `
	}
	return `WITH a AS (SELECT n, product_id, id FROM ` + f.MovementRefs + `)
	SELECT t.n, t.location_id, t.moment, ` + dialect.PerState("t.$", ", ") + `, t.entries, t.oldest, t.lowest, coalesce(c.active, false), coalesce(c.priority, 0)
	FROM (` + levels + `
		SELECT e.n, e.location_id, e.moment, ` + dialect.PerState("sum(e.$_delta) AS $", ", ") + `, count(*) AS entries, min(e.at) AS oldest, min(e.movement_id) AS lowest
		FROM (
			SELECT d.*, CASE WHEN d.at <= CAST(? AS bigint) THEN 0 WHEN d.at > CAST(? AS bigint) THEN CAST(? AS bigint)
				ELSE (d.at - CAST(? AS bigint) + CAST(? AS bigint)) / CAST(? AS bigint) END AS moment
			FROM (SELECT a.n, m.movement_id, m.location_id, ` + dialect.PerState("m.$_delta", ", ") + `, ` + f.MovedMicros + ` AS at FROM a ` + f.EntriesBefore + `) d
		) e GROUP BY e.n, e.location_id, e.moment
	) t LEFT JOIN locations c ON c.location_id = t.location_id`
}
