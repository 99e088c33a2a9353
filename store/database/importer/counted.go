package importer

import (
	"context"
	"fmt"
	"strings"

	"onhand/models"
	"onhand/store/database/decide/counting"
	"onhand/store/database/dialect"
)

// importCounts has what the ledger says of the levels that were counted earlier: what they
// gained and lost since, when each state was counted last, and why the moment is refused.
// An import without such rows leaves it empty.
const importCounts = `CREATE TEMP TABLE import_counts AS SELECT product_id, location_id, counted_at,
	line AS since_available, line AS since_damaged, line AS since_quality_control, line AS since_safety_stock, line AS since_incoming, line AS since_on_hand,
	counted_at AS newest_available, counted_at AS newest_damaged, counted_at AS newest_quality_control, counted_at AS newest_safety_stock, counted_at AS newest_incoming,
	line AS complete, problem AS refusal
	FROM import_rows WHERE 1 = 0`

// CountColumns are the columns of import_counts that an engine fills.
const CountColumns = `product_id, location_id, counted_at,
	since_available, since_damaged, since_quality_control, since_safety_stock, since_incoming, since_on_hand,
	newest_available, newest_damaged, newest_quality_control, newest_safety_stock, newest_incoming, complete`

// newestCount is the count that is newer than the row's, null for none. On hand has four
// states.
const newestCount = `CASE
	WHEN (r.new_available IS NOT NULL OR r.new_on_hand IS NOT NULL) AND k.newest_available > r.counted_at THEN k.newest_available
	WHEN (r.new_damaged IS NOT NULL OR r.new_on_hand IS NOT NULL) AND k.newest_damaged > r.counted_at THEN k.newest_damaged
	WHEN (r.new_quality_control IS NOT NULL OR r.new_on_hand IS NOT NULL) AND k.newest_quality_control > r.counted_at THEN k.newest_quality_control
	WHEN (r.new_safety_stock IS NOT NULL OR r.new_on_hand IS NOT NULL) AND k.newest_safety_stock > r.counted_at THEN k.newest_safety_stock
	WHEN r.new_incoming IS NOT NULL AND k.newest_incoming > r.counted_at THEN k.newest_incoming END AS newest_count`

// readCounts fills import_counts.
func (i *run) readCounts(ctx context.Context) error {
	if !i.counted {
		return nil
	}
	i.waiting.Reset()
	if err := i.exec(ctx, "DELETE FROM import_counts"); err != nil {
		return err
	}
	if err := i.engine.ReadCounts(ctx, i.conn, i.waiting.Reset); err != nil {
		return err
	}
	var now dialect.Instant
	if err := i.conn.QueryRowContext(ctx, "SELECT "+i.Fragments.Now).Scan(&now); err != nil {
		return err
	}
	i.now = now
	_, err := i.conn.ExecContext(ctx, `UPDATE import_counts SET refusal = CASE WHEN counted_at > $1 THEN 'future' WHEN counted_at < $2 OR complete = 0 THEN 'too old' ELSE '' END`,
		i.Fragments.Moment(now.Add(counting.SkewMax)), i.Fragments.Moment(now.Add(-counting.AgeMax)))
	if err != nil {
		return err
	}
	return i.exec(ctx, "ANALYZE import_counts")
}

// writtenCounts are the fine rows p that were counted earlier, with what the file says r, a
// state at a time. What is on hand gives what is available.
func writtenCounts(joined string) string {
	return ` FROM import_plan p JOIN import_rows r ON r.line = p.line ` + joined + `
	WHERE p.outcome IN ('unchanged', 'changed', 'created') AND p.counted_at IS NOT NULL AND (r.new_$ IS NOT NULL OR '$' = 'available' AND r.new_on_hand IS NOT NULL)`
}

// recordCounts stores when levels were counted, and what that corrected. first is the largest
// movement id before the import.
func (i *run) recordCounts(ctx context.Context, first int64) error {
	if !i.counted {
		return nil
	}
	now := i.Fragments.Moment(i.now.Time)
	for _, state := range models.Settable {
		forState := strings.NewReplacer("$", strings.ToLower(string(state)), "#", string(state)).Replace
		i.waiting.Reset()
		if _, err := i.conn.ExecContext(ctx, forState(`DELETE FROM stock_counts WHERE (product_id, location_id, state, written_at) IN (
			SELECT c.product_id, c.location_id, c.state, c.written_at`+writtenCounts(`
			JOIN stock_counts c ON c.product_id = p.product_id AND c.location_id = p.location_id AND c.state = '#' AND c.written_at <= p.counted_at`)+`)`)); err != nil {
			return fmt.Errorf("forget earlier counts: %w", err)
		}
		if _, err := i.conn.ExecContext(ctx, strings.NewReplacer("£1", "$1", "£2", "$2").Replace(forState(`INSERT INTO stock_counts (product_id, location_id, state, counted_at, written_at, correction)
			SELECT p.product_id, p.location_id, '#', CASE WHEN p.counted_at > £1 THEN £1 ELSE p.counted_at END,
				coalesce((SELECT max(m.created_at) FROM `+i.Fragments.LedgerRows+` m WHERE m.product_id = p.product_id AND m.location_id = p.location_id AND m.movement_id > £2), £1),
				p.after_$ - p.before_$`+writtenCounts("")+`
			ON CONFLICT (product_id, location_id, state, written_at) DO UPDATE SET correction = stock_counts.correction + excluded.correction,
				counted_at = CASE WHEN stock_counts.counted_at > excluded.counted_at THEN stock_counts.counted_at ELSE excluded.counted_at END`)), now, first); err != nil {
			return fmt.Errorf("record the counts: %w", err)
		}
	}
	return nil
}
