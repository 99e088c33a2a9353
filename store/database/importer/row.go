package importer

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"onhand/models"
	"onhand/store/database/decide/counting"
	"onhand/store/database/dialect"
)

// ImportColumns are the columns of import_rows, in the order of stagedRow.
var ImportColumns = []string{
	"line", "last_line", "product_id", "variant", "title", "location_id", "product_key", "variant_key", "location_key", "sets", "compared", "opens", "ask",
	"seen_available", "seen_damaged", "seen_quality_control", "seen_safety_stock", "seen_incoming", "seen_on_hand",
	"new_available", "new_damaged", "new_quality_control", "new_safety_stock", "new_incoming", "new_on_hand",
	"open_available", "open_damaged", "open_quality_control", "open_safety_stock", "open_incoming", "elsewhere",
	"note", "problem", "counted_at",
}

// stagedRow is a row as import_rows stores it: what it asks for, what its writer saw of that,
// and what a new level begins with. A nil stager gives no keys. A row that was counted at a
// moment is not compared: the ledger tells what happened since. The caller adds the moment,
// the last column.
func stagedRow(row models.StockRow, options models.ImportOptions, keys *keyStager, counted *time.Time) []any {
	product := row.ProductID
	if product == "" {
		product = row.Variant
	}
	opens := options.Create && row.Location != "" && row.Now.Any()
	var opened openingLevel
	if opens {
		opened = openingOf(row.Now)
	}
	seen := row.Now
	if options.IgnoreStale || counted != nil {
		seen = models.Counts{}
	}
	values := append(make([]any, 0, len(ImportColumns)),
		row.Line, max(row.Line, row.LastLine), storable(product), storable(row.Variant), storable(row.Title), storable(row.Location))
	values = append(values, keys.of(row, product)...)
	sets := row.New.Any()
	values = append(values, bit(sets), bit(counted != nil || compared(row.New, seen)), bit(opens), askOf(row, opens, counted))
	for _, s := range models.Settable {
		values = append(values, unitsIf(*seen.Of(s), row.New.Of(s).Given || !sets))
	}
	values = append(values, unitsIf(seen.OnHand, row.New.OnHand.Given || !sets))
	for _, s := range models.Settable {
		values = append(values, unitsIf(*row.New.Of(s), true))
	}
	values = append(values, unitsIf(row.New.OnHand, true))
	for _, s := range models.Settable {
		values = append(values, *opened.Of(s))
	}
	note := strings.TrimPrefix(strings.TrimSuffix(row.Note+"; "+opened.note, "; "), "; ")
	return append(values, opened.elsewhere, storable(note), storable(row.Problem), nil)
}

// countedAt is when a row was counted that sets something; nil for now.
func countedAt(row models.StockRow, options models.ImportOptions) *time.Time {
	at := cmp.Or(row.CountedAt, options.CountedAt)
	if at == nil || !row.New.Any() || row.Problem != "" {
		return nil
	}
	moment := counting.Moment(*at)
	return &moment
}

// compared reports whether the file says what was there for each quantity to set.
func compared(newCounts, seen models.Counts) bool {
	for _, s := range models.Settable {
		if newCounts.Of(s).Given && !seen.Of(s).Given {
			return false
		}
	}
	return newCounts.Any() && (seen.OnHand.Given || !newCounts.OnHand.Given)
}

// openingLevel is what a level begins with that the file knows and Onhand does not.
type openingLevel struct {
	models.Quantities
	elsewhere int // units of reservations and orders that Onhand does not know
	note      string
}

// openingOf returns what a new level begins with. Onhand does not know the orders behind
// reserved and committed units, so it leaves them out. Oversold units become 0. Units that a
// shop calls unavailable begin in quality control.
func openingOf(seen models.Counts) openingLevel {
	o := openingLevel{elsewhere: seen.Reserved.Units + seen.Committed.Units}
	for _, s := range models.Settable {
		*o.Of(s) = max(0, seen.Of(s).Units)
	}
	o.QualityControl += max(0, seen.Unavailable.Units)
	if !seen.Available.Given && seen.OnHand.Given {
		o.Available = max(0, seen.OnHand.Units-o.elsewhere-o.Damaged-o.QualityControl-o.SafetyStock)
	}
	var notes []string
	if o.elsewhere != 0 {
		notes = append(notes, fmt.Sprintf("%d reserved or committed units are left out, for Onhand does not know their orders", o.elsewhere))
	}
	if seen.Available.Units < 0 {
		notes = append(notes, fmt.Sprintf("available %d begins as 0", seen.Available.Units))
	}
	if seen.Unavailable.Units > 0 {
		notes = append(notes, fmt.Sprintf("%d unavailable units begin in quality control", seen.Unavailable.Units))
	}
	o.note = strings.Join(notes, "; ")
	return o
}

// askOf is equal for rows that ask for the same; empty for those that ask for nothing.
func askOf(row models.StockRow, opens bool, counted *time.Time) string {
	switch {
	case counted != nil:
		return string(appendCounts([]byte(counting.Text(*counted)), row.New))
	case row.New.Any():
		return string(appendCounts(appendCounts(nil, row.New), row.Now))
	case opens:
		return string(appendCounts([]byte("open"), row.Now))
	}
	return ""
}

// appendCounts appends every count, or a dash for one that is not given.
func appendCounts(text []byte, c models.Counts) []byte {
	for _, count := range [...]models.Count{
		c.Available, c.Reserved, c.Committed, c.Damaged, c.QualityControl, c.SafetyStock, c.Incoming, c.Unavailable, c.OnHand,
	} {
		text = append(text, ' ')
		if count.Given {
			text = strconv.AppendInt(text, int64(count.Units), 10)
		} else {
			text = append(text, '-')
		}
	}
	return text
}

func unitsIf(c models.Count, asked bool) any {
	if !c.Given || !asked {
		return nil
	}
	return c.Units
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// storable is text that Postgres accepts. Only a row with a problem can have other text.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

func scanImported(r dialect.Rows) (models.ImportedRow, error) {
	var (
		row        models.ImportedRow
		seen       [6]*int
		first      *int
		moments    [2]dialect.Instant
		b, a       = &row.Before, &row.After
		seenStates = append(append([]models.State{}, models.Settable...), "")
	)
	err := r.Scan(&row.Line, &row.LastLine, &row.Sets, &row.Compared, &row.SimilarProduct, &row.SimilarLocation, &row.ProductID, &row.LocationID, &row.Outcome, &row.Note, &row.Problem, &first, &moments[0], &moments[1],
		&seen[0], &seen[1], &seen[2], &seen[3], &seen[4], &seen[5],
		&b.Available, &b.Reserved, &b.Committed, &b.Damaged, &b.QualityControl, &b.SafetyStock, &b.Incoming,
		&a.Available, &a.Reserved, &a.Committed, &a.Damaged, &a.QualityControl, &a.SafetyStock, &a.Incoming)
	if first != nil {
		row.FirstLine = *first
	}
	row.CountedAt, row.NewestCount = moments[0].Pointer(), moments[1].Pointer()
	for i, n := range seen {
		if n == nil {
			continue
		}
		if seenStates[i] == "" {
			row.Now.OnHand = models.Counted(*n)
		} else {
			*row.Now.Of(seenStates[i]) = models.Counted(*n)
		}
	}
	return row, err
}
