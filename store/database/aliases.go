package database

import (
	"onhand/store/database/dialect"
	"onhand/store/database/importer"
	"onhand/store/database/ledger"
)

// The types of the packages below that callers name.
type (
	// Switches turn off optimisations, for benchmarks.
	Switches = dialect.Switches
	// Claim registers one process with a database.
	Claim = dialect.Claim
	// Feed follows the ledger from a cursor; Moved is a movement of it.
	Feed  = ledger.Feed
	Moved = ledger.Moved
	// MovementRef names a product right after one of its movements.
	MovementRef = ledger.MovementRef
	// Span is a range of products by id.
	Span = ledger.Span
	// LedgerAudit is one level beside its ledger; ReservationsAudit, beside its
	// reservations.
	LedgerAudit       = ledger.LedgerAudit
	ReservationsAudit = ledger.ReservationsAudit
	// ImportProgress is called with how far an import has come in an ImportStage.
	ImportProgress = importer.Progress
	ImportStage    = importer.Stage
)

// The stages of an import that callers test for.
const (
	ImportReading = importer.Reading
	ImportWriting = importer.Writing
)

// The errors of the packages below that callers test for.
var (
	ErrClaimed  = dialect.ErrClaimed
	ErrNoClaim  = dialect.ErrNoClaim
	ErrNoListen = dialect.ErrNoListen
)

// Explain returns in plain words why a database cannot be used, and whether that may
// pass by itself. See [dialect.Explain].
func Explain(err error) (reason string, passes bool) { return dialect.Explain(err) }
