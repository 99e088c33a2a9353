package database

import (
	"context"
	"slices"
	"strings"

	"onhand/models"
)

// Bounds of reading the ledger.
const (
	// windowFirst is how many movement ids, or rows of a product, the first
	// SELECT for a page looks at; each further one that finds nothing looks at
	// windowGrowth times as many, up to windowMax: some 15 MB of the ledger.
	windowFirst  = 1 << 12
	windowGrowth = 4
	windowMax    = 1 << 16
	// windowsMax is how many SELECTs look for one page.
	windowsMax = 24
)

// windows are the bounds of one SELECT of the ledger; tests make them narrow.
type windows struct{ first, most int64 }

func (w windows) grown(size int64) int64 { return min(windowGrowth*size, w.most) }

// movementSelect reads ledger rows of the table m, with more columns at the end.
func movementSelect(e engine, more string) string {
	return `SELECT m.movement_id, m.product_id, m.location_id,
		m.available_delta, m.reserved_delta, m.committed_delta, m.damaged_delta, m.quality_control_delta, m.safety_stock_delta, m.incoming_delta,
		m.available_after, m.reserved_after, m.committed_after, m.damaged_after, m.quality_control_after, m.safety_stock_after, m.incoming_after,
		m.reason, m.note, m.reference, m.actor, m.reservation_id, m.version, m.created_at, ` + e.txid() + `, ` + e.committed() + more + `
	FROM stock_movements m`
}

// movementRow is a movement with the transaction that wrote it, and the
// snapshot it was read in.
type movementRow struct {
	models.StockMovement
	txid     int64
	snapshot string
}

func scanMovement(r rows) (*movementRow, error) {
	var (
		m   movementRow
		key []byte
		at  instant
	)
	d, a := &m.Delta, &m.After
	err := r.Scan(&m.MovementID, &m.ProductID, &m.LocationID,
		&d.Available, &d.Reserved, &d.Committed, &d.Damaged, &d.QualityControl, &d.SafetyStock, &d.Incoming,
		&a.Available, &a.Reserved, &a.Committed, &a.Damaged, &a.QualityControl, &a.SafetyStock, &a.Incoming,
		&m.Reason, &m.Note, &m.Reference, &m.Actor, &key, &m.Version, &at, &m.txid, &m.snapshot)
	m.CreatedAt = at.Time
	if len(key) > 0 {
		m.ReservationID = reservationID(key)
	}
	return &m, err
}

// conditions is a WHERE clause under construction.
type conditions struct {
	sql  []string
	args []any
}

func (c *conditions) add(sql string, args ...any) {
	c.sql = append(c.sql, sql)
	c.args = append(c.args, args...)
}

func (c *conditions) where() string { return " WHERE " + strings.Join(c.sql, " AND ") }

// movementConditions says in SQL what a filter asks for. Nothing matches an id
// that cannot be one of ours.
func (d *Database) movementConditions(f models.MovementFilter) conditions {
	var c conditions
	if f.ProductID != "" {
		c.add("m.product_id = ?", f.ProductID)
	}
	if f.LocationID != "" {
		c.add("m.location_id = ?", f.LocationID)
	}
	if f.State != "" {
		c.add("m." + strings.ToLower(string(f.State)) + "_delta <> 0")
	}
	if f.Reason != "" {
		c.add("m.reason = ?", string(f.Reason))
	}
	if f.Reference != "" {
		c.add("m.reference = ?", f.Reference)
	}
	if f.ReservationID != "" {
		key, _ := reservationKey(f.ReservationID)
		c.add("m.reservation_id = ?", key[:])
	}
	if f.Since != nil {
		c.add("m.created_at >= ?", d.engine.moment(*f.Since))
	}
	if f.Until != nil {
		c.add("m.created_at <= ?", d.engine.moment(*f.Until))
	}
	return c
}

// selectMovements reads rows that meet the conditions, in id order or against it.
func (d *Database) selectMovements(ctx context.Context, c conditions, descending bool, limit int) ([]*movementRow, error) {
	db, cancel := d.reading(ctx)
	defer cancel()
	order := " ORDER BY m.movement_id"
	if descending {
		order += " DESC"
	}
	r, err := db.Raw(movementSelect(d.engine, "")+c.where()+order+" LIMIT ?", append(c.args, limit)...).Rows()
	if err != nil {
		return nil, d.fault(err)
	}
	defer r.Close()
	var found []*movementRow
	err = each(r, scanMovement, func(m *movementRow) { found = append(found, m) })
	return found, d.fault(err)
}

// ReadMovements reads one page of the ledger, newest first, by key: a page
// costs the same wherever it is.
//
// It looks through windows of ids, which the ledger's summaries find, and with
// a product in the filter through its rows in the primary key.
func (d *Database) ReadMovements(ctx context.Context, page models.MovementsPage, filter models.MovementFilter) (models.MovementPage, error) {
	top, err := d.ledgerTop(ctx)
	if err != nil {
		return models.MovementPage{}, err
	}
	s := &movementSearch{
		database: d, filter: filter, lo: page.Before, hi: top,
		descending: page.Last == 0, wanted: max(page.First, page.Last) + 1,
	}
	if page.After > 0 {
		s.hi = min(s.hi, page.After-1)
	}
	if err := s.run(ctx); err != nil {
		return models.MovementPage{}, err
	}
	return s.page(page), nil
}

// ReadMovement reads one movement; nil when there is none.
func (d *Database) ReadMovement(ctx context.Context, movementID int64, productID string) (*models.StockMovement, error) {
	c := conditions{}
	c.add("m.product_id = ?", productID)
	c.add("m.movement_id = ?", movementID)
	found, err := d.selectMovements(ctx, c, false, 1)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return withCursor(found[0]), nil
}

// ledgerTop is the largest movement id ever given.
func (d *Database) ledgerTop(ctx context.Context) (top int64, err error) {
	db, cancel := d.reading(ctx)
	defer cancel()
	err = db.Raw("SELECT " + d.engine.movementTop()).Row().Scan(&top)
	return top, d.fault(err)
}

// movementSearch looks for one page in the ids above lo, up to hi.
type movementSearch struct {
	database   *Database
	filter     models.MovementFilter
	lo, hi     int64
	descending bool
	wanted     int // one more than the page holds

	found []*movementRow
}

// run narrows lo and hi to what it has not looked at yet, until enough is
// found, nothing is left, or it has looked often enough.
func (s *movementSearch) run(ctx context.Context) error {
	within := s.database.windows
	size := within.first
	if s.filter.Reference != "" || s.filter.ReservationID != "" {
		within.most = 1 << 40 // what has a summary of its own is found in any window
	}
	for range windowsMax {
		if s.lo >= s.hi || len(s.found) >= s.wanted {
			return nil
		}
		lo, hi, err := s.window(ctx, size)
		if err != nil {
			return err
		}
		c := s.database.movementConditions(s.filter)
		c.add("m.movement_id > ?", lo)
		c.add("m.movement_id <= ?", hi)
		found, err := s.database.selectMovements(ctx, c, s.descending, s.wanted-len(s.found))
		if err != nil {
			return err
		}
		s.found = append(s.found, found...)
		if s.descending {
			s.hi = lo
		} else {
			s.lo = hi
		}
		size = within.grown(size)
	}
	return nil
}

// window is the next range of ids to look at.
func (s *movementSearch) window(ctx context.Context, size int64) (lo, hi int64, err error) {
	product := s.filter.ProductID
	switch {
	case product != "" && s.filter == (models.MovementFilter{ProductID: product}):
		return s.lo, s.hi, nil // every row counts
	case product != "":
		return s.productWindow(ctx, size)
	case s.descending:
		return max(s.lo, s.hi-size), s.hi, nil
	default:
		return s.lo, min(s.hi, s.lo+size), nil
	}
}

// productWindow is as many rows of the product.
func (s *movementSearch) productWindow(ctx context.Context, size int64) (lo, hi int64, err error) {
	db, cancel := s.database.reading(ctx)
	defer cancel()
	order := "movement_id"
	if s.descending {
		order += " DESC"
	}
	var edges []int64
	err = db.Raw("SELECT movement_id FROM stock_movements WHERE product_id = ? AND movement_id > ? AND movement_id <= ? ORDER BY "+
		order+" LIMIT 1 OFFSET ?", s.filter.ProductID, s.lo, s.hi, size).Scan(&edges).Error
	switch {
	case err != nil:
		return 0, 0, s.database.fault(err)
	case len(edges) == 0:
		return s.lo, s.hi, nil
	case s.descending:
		return edges[0], s.hi, nil
	default:
		return s.lo, edges[0], nil
	}
}

// page is what was found, newest first.
func (s *movementSearch) page(asked models.MovementsPage) models.MovementPage {
	more := len(s.found) == s.wanted
	stopped := !more && s.lo < s.hi
	if more {
		s.found = s.found[:s.wanted-1]
	}
	if !s.descending {
		slices.Reverse(s.found)
	}
	page := models.MovementPage{Movements: make([]*models.StockMovement, len(s.found))}
	for i, row := range s.found {
		page.Movements[i] = withCursor(row)
	}
	if n := len(s.found); n > 0 {
		page.Start, page.End = s.found[0].MovementID, s.found[n-1].MovementID
	}
	if s.descending {
		page.HasNext, page.HasPrev = more || stopped, asked.After > 0
		if stopped {
			page.End = s.hi + 1
		}
	} else {
		page.HasPrev, page.HasNext = more || stopped, asked.Before > 0
		if stopped {
			page.Start = s.lo
		}
	}
	return page
}
