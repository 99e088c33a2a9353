package ledger

import (
	"context"
	"fmt"
	"strings"

	"onhand/models"
	"onhand/store/database/dialect"
)

// Bounds of following the ledger.
const (
	// FeedBatchMax is how many movements one call of Next returns.
	FeedBatchMax = 256
	// runningNamed is how many running transactions a query names, the oldest ones. The
	// others are young: their entries are together at the ledger's end.
	runningNamed = 8
)

// Feed follows the ledger from a cursor. It returns every movement once, and those of one
// product in the order of versions. A transaction that takes its ids early and commits late
// is not skipped, and an open transaction does not delay the others.
//
// It is not safe for concurrent use.
type Feed struct {
	ledger   *Ledger
	filter   models.MovementFilter
	products []string // none: all
	edges    bool     // tell First and Last
	at       position
	ends     ledgerEnds // no id of the current step is larger than its top
	window   int64
}

// Moved is a movement of a Feed.
type Moved struct {
	*models.StockMovement
	// First and Last report whether the product's movement before it, and after it, belongs
	// to another transaction. Only FeedOfProducts sets them.
	First, Last bool
}

// Feed returns a feed that begins after a cursor, or now where the cursor is empty.
//
// Errors: bad input for a text that is no cursor, or a cursor of another ledger.
func (l *Ledger) Feed(ctx context.Context, after string, filter models.MovementFilter) (*Feed, error) {
	f := &Feed{ledger: l, filter: filter, window: l.Windows.First}
	if after == "" {
		now, ends, err := l.ledgerNow(ctx)
		f.at, f.ends = position{from: now}, ends
		return f, err
	}
	var err error
	if f.at, err = parsePosition(after); err != nil {
		return nil, err
	}
	if err := f.checkLast(ctx); err != nil {
		return nil, err
	}
	now, ends, err := l.ledgerNow(ctx)
	if err != nil {
		return nil, err
	}
	f.ends = ends
	return f, f.checkBack(now)
}

// FeedOfProducts returns a feed of these products, or of all where there are none, that
// begins now and reports the first and last movement of each transaction.
func (l *Ledger) FeedOfProducts(ctx context.Context, products []string) (*Feed, error) {
	f, err := l.Feed(ctx, "", models.MovementFilter{})
	if err != nil {
		return nil, err
	}
	f.products, f.edges = products, true
	return f, nil
}

// errOtherLedger says that the database was restored from a backup.
var errOtherLedger = models.BadInput("this cursor is of another ledger than the one there is now, which may have been restored from a backup; read stockMovements and begin anew, without after")

// checkLast checks that the last movement of the cursor still exists.
func (f *Feed) checkLast(ctx context.Context) error {
	found, err := f.ledger.selectMovements(ctx, movementQuery{above: f.at.last - 1, through: f.at.last, limit: 1})
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].txid != f.at.txid || found[0].CreatedAt.UnixMicro() != f.at.createdAt {
		return errOtherLedger
	}
	return nil
}

// checkBack checks that transaction ids have not gone back.
func (f *Feed) checkBack(now txSnapshot) error {
	if now.next < f.at.from.next || f.at.to != nil && now.next < f.at.to.next {
		return errOtherLedger
	}
	return nil
}

// ledgerNow reads what has committed now, and where the ledger ends.
func (l *Ledger) ledgerNow(ctx context.Context) (now txSnapshot, ends ledgerEnds, err error) {
	db, cancel := l.ReadSession(ctx)
	defer cancel()
	var text string
	ends.step = l.Fragments.LedgerStep
	// Postgres reads the id after it took the snapshot: no movement of it has a larger id.
	if err := db.Raw("SELECT "+l.Fragments.Committed+", "+l.Fragments.LedgerEnd).Row().Scan(&text, &ends.top); err != nil {
		return now, ends, l.Fault(err)
	}
	now, err = parseSnapshot(text)
	return now, ends, err
}

// Next returns the next movements, at most FeedBatchMax; none when there are none yet. The
// work of one call is bounded: more reports that the caller should call again at once.
//
// Errors: UNAVAILABLE, after which Next continues where it was; bad input when the database
// was restored from a backup.
func (f *Feed) Next(ctx context.Context) (moved []Moved, more bool, err error) {
	if f.at.to == nil {
		if begun, err := f.begin(ctx); err != nil || !begun {
			return nil, false, err
		}
	}
	for range windowsMax {
		rows, until, err := f.read(ctx)
		if err != nil {
			return nil, false, err
		}
		for _, row := range rows {
			f.at = f.at.after(&row.movementRow)
			row.Cursor = f.at.String()
			moved = append(moved, Moved{StockMovement: &row.StockMovement, First: row.first, Last: row.last})
		}
		f.at.id = until
		if until >= f.ends.top { // the step is done
			f.at.from, f.at.to = *f.at.to, nil
			return moved, true, nil
		}
		if len(moved) > 0 {
			return moved, true, nil
		}
	}
	return nil, true, nil
}

// begin begins the next step: what has committed since the last one. It reports whether
// there is anything.
func (f *Feed) begin(ctx context.Context) (bool, error) {
	now, ends, err := f.ledger.ledgerNow(ctx)
	if err != nil {
		return false, err
	}
	if err := f.checkBack(now); err != nil || now.equal(f.at.from) {
		return false, err
	}
	var c conditions
	f.recent(&c)
	f.newlyCommitted(&c, now)
	db, cancel := f.ledger.ReadSession(ctx)
	defer cancel()
	var least *int64
	if err := db.Raw("SELECT min(m.movement_id) FROM "+f.ledger.Fragments.LedgerEntries+" m"+c.where(), c.args...).Row().Scan(&least); err != nil {
		return false, f.ledger.Fault(err)
	}
	if least == nil {
		f.at.from = now
		return false, nil
	}
	f.at.to, f.at.id, f.ends = &now, *least-1, ends
	return true, nil
}

type movedRow struct {
	movementRow
	first, last bool
}

// read reads the next window of the current step, and returns how far it got.
func (f *Feed) read(ctx context.Context) (found []*movedRow, until int64, err error) {
	fragments := f.ledger.Fragments
	until = min(f.ends.after(f.at.id, f.window), f.ends.top)
	q := movementQuery{filter: f.filter, above: f.at.id, through: until, limit: FeedBatchMax}
	f.newlyCommitted(&q.more, *f.at.to)
	if f.edges {
		q.columns = otherTransactions(fragments)
	}
	if len(f.products) > 0 {
		q.more.add("m.product_id IN (SELECT product_id FROM "+fragments.IDs+" i)", dialect.JSONList(f.products))
	}
	db, cancel := f.ledger.ReadSession(ctx)
	defer cancel()
	query, args := movementsSelect(fragments, &q)
	r, err := db.Raw(query, args...).Rows()
	if err != nil {
		return nil, 0, f.ledger.Fault(err)
	}
	defer r.Close()
	if err := dialect.Each(r, f.scan, func(m *movedRow) { found = append(found, m) }); err != nil {
		return nil, 0, f.ledger.Fault(err)
	}
	switch {
	case len(found) == FeedBatchMax:
		until = found[FeedBatchMax-1].MovementID
		f.window = max(1, f.window/windowGrowth) // a few chunks are enough
	case len(found) > 0:
		f.window = f.ledger.Windows.First
	default:
		f.window = f.ledger.Windows.grown(f.window)
	}
	return found, until, nil
}

func (f *Feed) scan(r dialect.Rows) (*movedRow, error) {
	var row movedRow
	if !f.edges {
		m, err := scanMovement(r)
		row.movementRow = *m
		return &row, err
	}
	m, err := scanMovement(dialect.Trailing{Rows: r, More: []any{&row.first, &row.last}})
	row.movementRow = *m
	return &row, err
}

// otherTransactions is SQL for whether the product's nearest movement before m, and after
// it, has another version. The movements of one transaction and product follow each other,
// because the product is locked meanwhile.
func otherTransactions(f *dialect.Fragments) string {
	nearest := ", (SELECT n.version FROM " + f.LedgerEntries + " n WHERE n.product_id = m.product_id AND "
	return nearest + "n.movement_id < m.movement_id ORDER BY n.movement_id DESC LIMIT 1) IS DISTINCT FROM m.version" +
		nearest + fmt.Sprintf("n.movement_id > m.movement_id - %d AND n.last_id > m.movement_id ORDER BY n.movement_id LIMIT 1) IS DISTINCT FROM m.version", f.LedgerStep)
}

// newlyCommitted limits a query to transactions that committed in to and not in from.
func (f *Feed) newlyCommitted(c *conditions, to txSnapshot) {
	txid := f.ledger.Fragments.TxID
	to.committed(c, txid)
	switch from := f.at.from; {
	case from.next == 0:
	case len(from.running) == 0:
		c.add(txid+" >= ?", from.next)
	default:
		c.add("("+txid+" >= ? OR "+txid+" IN ?)", from.next, from.running)
	}
}

// recent limits a query to transactions that had not committed in from, in conditions that
// BRIN summaries can use.
func (f *Feed) recent(c *conditions) {
	column, from := f.ledger.Fragments.TxIDColumn, f.at.from
	named := from.running[:min(len(from.running), runningNamed)]
	young := from.next
	if len(from.running) > runningNamed {
		young = from.running[runningNamed]
	}
	args := []any{young}
	for _, txid := range named {
		args = append(args, txid)
	}
	c.add("("+column+" >= ?"+strings.Repeat(" OR "+column+" = ?", len(named))+")", args...)
}
