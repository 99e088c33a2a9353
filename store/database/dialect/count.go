package dialect

import "onhand/store/database/decide/counting"

// BasisColumns are the columns of what the ledger says of a level since a moment, for
// [ScanBasis].
var BasisColumns = "product, location, moment, " + PerState("since_$", ", ") +
	", newest_available, newest_damaged, newest_quality_control, newest_safety_stock, newest_incoming, entries, complete"

// ScanBasis scans BasisColumns.
func ScanBasis(r Rows) (*counting.Basis, error) {
	var (
		b      counting.Basis
		at     Instant
		newest [5]Instant
	)
	since, last := &b.Since, &b.Newest
	err := r.Scan(&b.Product, &b.Location, &at,
		&since.Available, &since.Reserved, &since.Committed, &since.Damaged, &since.QualityControl, &since.SafetyStock, &since.Incoming,
		&newest[0], &newest[1], &newest[2], &newest[3], &newest[4], &b.Entries, &b.Complete)
	b.At = at.Time
	last.Available, last.Damaged, last.QualityControl, last.SafetyStock, last.Incoming = newest[0].Time, newest[1].Time, newest[2].Time, newest[3].Time, newest[4].Time
	return &b, err
}
