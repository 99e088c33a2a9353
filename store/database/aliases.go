package database

import (
	"onhand/store/database/dialect"
	"onhand/store/database/ledger"
	"onhand/store/database/standby"
)

// The types of the packages below that callers name.
type (
	// Switches turn off optimisations, for benchmarks.
	Switches = dialect.Switches
	// Claim registers one process with a database.
	Claim = dialect.Claim
	// RowRef names what a transaction can lock; Locks are such rows of other transactions.
	RowRef = dialect.RowRef
	Locks  = dialect.Locks
	// Feed follows the ledger from a cursor; Moved is a movement of it.
	Feed  = ledger.Feed
	Moved = ledger.Moved
	// MovementRef names a product right after one of its movements.
	MovementRef = ledger.MovementRef
	// Span is a range of products by id.
	Span = ledger.Span
	// AuditedLevel is one level beside its ledger; AuditedReservations, beside its
	// reservations.
	AuditedLevel        = ledger.AuditedLevel
	AuditedReservations = ledger.AuditedReservations
)

// The errors of the packages below that callers test for.
var (
	ErrClaimed = dialect.ErrClaimed
	ErrNoClaim = dialect.ErrNoClaim
	// Why a read was not answered by a replica.
	ErrReplicaBehind   = standby.ErrBehind
	ErrReplicaBusy     = standby.ErrBusy
	ErrReplicaOther    = standby.ErrOther
	ErrPrimaryPosition = standby.ErrPosition

	ErrPrimaryNotFlushed = standby.ErrNotFlushed
)

// Explain returns in plain words why a database cannot be used, and whether that may
// pass by itself. See [dialect.Explain].
func Explain(err error) (reason string, passes bool) { return dialect.Explain(err) }
