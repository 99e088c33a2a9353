package ledger

import (
	"context"
	"slices"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// Bounds of reading the ledger.
const (
	// windowFirst is how many entries (rows or chunks) the first SELECT for a page covers.
	// Each further one that finds nothing covers windowGrowth times as many, up to
	// windowMax: some 15 MB of the ledger.
	windowFirst  = 1 << 12
	windowGrowth = 4
	windowMax    = 1 << 16
	// windowsMax bounds the SELECTs for one page.
	windowsMax = 24
)

// ledgerEnds is the ledger's largest id, top, and the number of ids that each row or
// chunk takes, step.
type ledgerEnds struct{ top, step int64 }

// before returns where a window ends that begins with hi and goes down. It has at most
// size entries.
func (l ledgerEnds) before(hi, size int64) int64 {
	return max(hi-size*l.step, 0)
}

// after is before, upwards.
func (l ledgerEnds) after(lo, size int64) int64 {
	return lo + size*l.step
}

// Ledger reads the append-only ledger of stock movements.
type Ledger struct {
	*dialect.DB
	Windows Windows
	asOf    *asOf // nil: now
}

// New returns a ledger.
func New(db *dialect.DB) *Ledger {
	return &Ledger{DB: db, Windows: Windows{First: windowFirst, Most: windowMax, HistoryFirst: historyEntriesFirst, HistoryMost: historyEntriesMax}}
}

// asOf is what had committed at a moment.
type asOf struct {
	text     string // as the database writes it
	snapshot txSnapshot
}

// AsOf returns the ledger as it was at a moment, with cursors of that moment. snapshot is
// the text of a pg_snapshot; everything that it names as committed must be visible. A Feed
// cannot be made from it.
//
// Errors: a text that is no snapshot.
func (l *Ledger) AsOf(snapshot string) (*Ledger, error) {
	s, err := parseSnapshot(snapshot)
	if err != nil {
		return nil, err
	}
	past := *l
	past.asOf = &asOf{snapshot, s}
	return &past, nil
}

// Windows are bounds in entries; tests make them narrow: of the first and of any SELECT for
// a page, and of the first SELECT and of all SELECTs for histories.
type Windows struct{ First, Most, HistoryFirst, HistoryMost int64 }

func (w Windows) grown(size int64) int64 { return min(windowGrowth*size, w.Most) }

// movementRow is a movement with the transaction that wrote it and the snapshot that it
// was read in.
type movementRow struct {
	models.StockMovement
	txid     int64
	snapshot string
}

func scanMovement(r dialect.Rows) (*movementRow, error) {
	var (
		m   movementRow
		key []byte
		at  dialect.Instant
	)
	d, a := &m.Delta, &m.After
	err := r.Scan(&m.MovementID, &m.ProductID, &m.LocationID,
		&d.Available, &d.Reserved, &d.Committed, &d.Damaged, &d.QualityControl, &d.SafetyStock, &d.Incoming,
		&a.Available, &a.Reserved, &a.Committed, &a.Damaged, &a.QualityControl, &a.SafetyStock, &a.Incoming,
		&m.Reason, &m.Note, &m.Reference, &m.Actor, &key, &m.Version, &at, &m.txid, &m.snapshot)
	m.CreatedAt = at.Time
	if len(key) > 0 {
		m.ReservationID = decide.ReservationID(key)
	}
	return &m, err
}

// selectMovements reads the movements of a query.
func (l *Ledger) selectMovements(ctx context.Context, q movementQuery) (found []*movementRow, err error) {
	db, cancel := l.ReadSession(ctx)
	defer cancel()
	if l.asOf != nil {
		l.asOf.snapshot.committed(&q.more, l.Fragments.TxID)
	}
	query, args := movementsSelect(l.Fragments, &q)
	r, err := db.Raw(query, args...).Rows()
	if err != nil {
		return nil, l.Fault(err)
	}
	defer r.Close()
	err = dialect.Each(r, scanMovement, func(m *movementRow) {
		if l.asOf != nil {
			m.snapshot = l.asOf.text
		}
		found = append(found, m)
	})
	return found, l.Fault(err)
}

// ReadMovements reads one page of the ledger, newest first, by key: a page costs the same
// wherever it is.
//
// It reads windows of ids. The BRIN summaries of the ledger find them; with a product in
// the filter, the primary keys do.
func (l *Ledger) ReadMovements(ctx context.Context, page paging.MovementRequest, filter models.MovementFilter) (paging.MovementPage, error) {
	ends, err := l.ledgerEnds(ctx)
	if err != nil {
		return paging.MovementPage{}, err
	}
	s := &movementSearch{
		ledger: l, filter: filter, ends: ends, lo: page.Before, hi: ends.top,
		descending: page.Last == 0, wanted: max(page.First, page.Last) + 1,
	}
	if page.After > 0 {
		s.hi = min(s.hi, page.After-1)
	}
	if err := s.run(ctx); err != nil {
		return paging.MovementPage{}, err
	}
	return s.page(page), nil
}

// ReadMovement reads one movement; nil when there is none.
func (l *Ledger) ReadMovement(ctx context.Context, movementID int64, productID string) (*models.StockMovement, error) {
	found, err := l.selectMovements(ctx, movementQuery{
		filter: models.MovementFilter{ProductID: productID}, above: movementID - 1, through: movementID, limit: 1,
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return withCursor(found[0]), nil
}

// ledgerEnds reads where the ledger ends now.
func (l *Ledger) ledgerEnds(ctx context.Context) (ends ledgerEnds, err error) {
	db, cancel := l.ReadSession(ctx)
	defer cancel()
	ends.step = l.Fragments.LedgerStep
	err = db.Raw("SELECT " + l.Fragments.LedgerEnd).Row().Scan(&ends.top)
	return ends, l.Fault(err)
}

// movementSearch searches one page in the ids above lo, up to hi.
type movementSearch struct {
	ledger     *Ledger
	filter     models.MovementFilter
	ends       ledgerEnds
	lo, hi     int64
	descending bool
	wanted     int // one more than the page holds

	found []*movementRow
}

// run narrows lo and hi to what it has not read yet, until enough is found, nothing is
// left, or windowsMax is reached.
func (s *movementSearch) run(ctx context.Context) error {
	within := s.ledger.Windows
	size := within.First
	if s.filter.Reference != "" || s.filter.ReservationID != "" {
		within.Most = 1 << 40 // what has a summary of its own is found in any window
	}
	if s.filter == (models.MovementFilter{}) {
		size = min(size, int64(s.wanted)) // every movement counts
	}
	for range windowsMax {
		if s.lo >= s.hi || len(s.found) >= s.wanted {
			return nil
		}
		lo, hi, err := s.window(ctx, size)
		if err != nil {
			return err
		}
		found, err := s.ledger.selectMovements(ctx, movementQuery{
			filter: s.filter, above: lo, through: hi, descending: s.descending, limit: s.wanted - len(s.found),
		})
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

// window returns the next range of ids to read.
func (s *movementSearch) window(ctx context.Context, size int64) (lo, hi int64, err error) {
	product := s.filter.ProductID
	switch {
	case product != "" && s.filter == (models.MovementFilter{ProductID: product}):
		return s.lo, s.hi, nil // every movement counts
	case product != "":
		return s.productWindow(ctx, size)
	case s.descending:
		return max(s.lo, s.ends.before(s.hi, size)), s.hi, nil
	default:
		return s.lo, min(s.hi, s.ends.after(s.lo, size)), nil
	}
}

// productWindow returns the next range of ids with size entries of the product.
func (s *movementSearch) productWindow(ctx context.Context, size int64) (lo, hi int64, err error) {
	db, cancel := s.ledger.ReadSession(ctx)
	defer cancel()
	order := "movement_id"
	if s.descending {
		order += " DESC"
	}
	var edges []int64
	err = db.Raw("SELECT movement_id FROM "+s.ledger.Fragments.LedgerEntries+" n WHERE product_id = ? AND movement_id > ? AND movement_id <= ? ORDER BY "+
		order+" LIMIT 1 OFFSET ?", s.filter.ProductID, s.lo, s.hi, size).Scan(&edges).Error
	switch {
	case err != nil:
		return 0, 0, s.ledger.Fault(err)
	case len(edges) == 0:
		return s.lo, s.hi, nil
	case s.descending:
		return edges[0], s.hi, nil
	default:
		return s.lo, edges[0], nil
	}
}

// page is the page that was found, newest first.
func (s *movementSearch) page(asked paging.MovementRequest) paging.MovementPage {
	more := len(s.found) == s.wanted
	stopped := !more && s.lo < s.hi
	if more {
		s.found = s.found[:s.wanted-1]
	}
	if !s.descending {
		slices.Reverse(s.found)
	}
	page := paging.MovementPage{Movements: make([]*models.StockMovement, len(s.found))}
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
