package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// DifferenceKind is what is wrong.
type DifferenceKind string

// The kinds of differences.
const (
	// LedgerSum: the deltas of the ledger do not add up to the level.
	LedgerSum DifferenceKind = "ledger_sum"
	// LedgerLast: the last row of the ledger has other quantities than the level.
	LedgerLast DifferenceKind = "ledger_last"
	// LedgerChain: a row of the ledger does not follow from the one before it.
	LedgerChain DifferenceKind = "ledger_chain"
	// Reserved: the level's reserved units are not those of active reservations.
	Reserved DifferenceKind = "reserved"
	// Committed: its committed units are not those of open orders.
	Committed DifferenceKind = "committed"
	// Unreadable: a row was written past the checks and cannot be read.
	Unreadable DifferenceKind = "unreadable"
	// RedisBehind: Redis has an older version and does not catch up.
	RedisBehind DifferenceKind = "redis_behind"
	// RedisAhead: Redis has a version that the database never gave.
	RedisAhead DifferenceKind = "redis_ahead"
	// RedisEpoch: Redis has a version of another epoch. Onhand ignores it; other
	// readers of the hash may not.
	RedisEpoch DifferenceKind = "redis_epoch"
	// RedisContent: Redis has the right version with wrong contents.
	RedisContent DifferenceKind = "redis_content"
)

// kinds lists them all, for metrics.
var kinds = []DifferenceKind{
	LedgerSum, LedgerLast, LedgerChain, Reserved, Committed, Unreadable, RedisBehind, RedisAhead, RedisEpoch, RedisContent,
}

// Difference is one finding.
type Difference struct {
	Kind      DifferenceKind
	ProductID string
	// LocationID is empty for a difference in Redis, which has whole products.
	LocationID string
	// Detail says what was found and what is right, for people.
	Detail string
}

// String describes it in one line.
func (d Difference) String() string {
	if d.LocationID == "" {
		return fmt.Sprintf("%s: %q: %s", d.Kind, d.ProductID, d.Detail)
	}
	return fmt.Sprintf("%s: %q at %q: %s", d.Kind, d.ProductID, d.LocationID, d.Detail)
}

// Tally counts what an audit compared and found.
type Tally struct {
	// Products, Levels and Movements were compared in the database, Hashes in Redis.
	Products, Levels, Movements, Hashes int64
	// Redis is false where Redis was not compared, because the only one is inside
	// another process.
	Redis bool
	// Differences counts the findings by kind. Repaired counts the products that are
	// right in Redis again.
	Differences map[DifferenceKind]int64
	Repaired    int64
	// OutboxRows are the changes that were still in the outbox at the end.
	OutboxRows int64
}

// Total returns how many differences were found.
func (s Tally) Total() (n int64) {
	for _, found := range s.Differences {
		n += found
	}
	return n
}

// Remaining returns how many differences were found and not repaired.
func (s Tally) Remaining() int64 { return s.Total() - s.Repaired }

// String describes it in one line.
func (s Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d products, %d levels, %d ledger rows", s.Products, s.Levels, s.Movements)
	if s.Redis {
		fmt.Fprintf(&b, ", %d products in Redis", s.Hashes)
	} else {
		b.WriteString("; Redis is inside the server and was not compared")
	}
	if s.OutboxRows > 0 {
		fmt.Fprintf(&b, "; %d changes wait for a server's relay", s.OutboxRows)
	}
	if s.Total() == 0 {
		b.WriteString(": no difference")
		return b.String()
	}
	fmt.Fprintf(&b, ": %d differences", s.Total())
	separator := " ("
	for _, kind := range slices.Sorted(maps.Keys(s.Differences)) {
		fmt.Fprintf(&b, "%s%s %d", separator, kind, s.Differences[kind])
		separator = ", "
	}
	b.WriteString(")")
	if s.Repaired > 0 {
		fmt.Fprintf(&b, ", %d repaired in Redis", s.Repaired)
	}
	return b.String()
}
