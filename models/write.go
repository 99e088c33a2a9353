package models

import (
	"encoding/json"
	"slices"
	"time"
)

// Write is one request to change stock, a reservation or settings. Group commit
// puts many of them into one transaction. Each is decided on its own, in order.
//
// The JSON names of a write's fields are stored: a hash of them distinguishes the
// repeat of an idempotency key from its misuse. What the caller did not send (the
// actor, the server's defaults) is not part of it.
type Write interface {
	// Key is the idempotency key. It is empty for writes that are naturally
	// idempotent (extend, release, expire).
	Key() string
	// Kind names the write. It is stored: an idempotency key belongs to one kind.
	Kind() string
	Terms() KeyTerms // zero for writes without a key
	// Check finds values that no stock can make valid. ttlMax bounds times to live.
	Check(ttlMax time.Duration) []UserError
}

// KeyTerms say whose an idempotency key is, and until when it may take effect unless it
// is bound. They are no part of the input.
type KeyTerms struct {
	Caller   string     `json:"-"` // the same text from another caller is another key
	NotAfter *time.Time `json:"-"` // by the database's clock; nil for no bound
}

// Terms implements Write.
func (t KeyTerms) Terms() KeyTerms { return t }

// WriteResult is the answer to one Write, after its transaction committed.
type WriteResult struct {
	Reservation *Reservation // for reservation writes that found or created one
	Stocks      []*Stock     // for stock and product writes: every changed product, as committed
	Locations   []string     // for location writes: the ids of those created or changed
	Channels    []string     // for channel writes: the ids of those created or changed
	Replayed    bool         // the idempotency key was bound by a success: this is its answer
	Errors      []UserError
	// Fault, where not nil, means that the write is not known to have happened.
	Fault error
}

// ErrorPolicy is what a failing row does to the other rows of a bulk write.
type ErrorPolicy string

// The error policies.
const (
	RejectEverything ErrorPolicy = "REJECT_EVERYTHING"
	RejectFailedRows ErrorPolicy = "REJECT_FAILED_ROWS"
)

// Bulk is a write of many rows, each with its own errors.
type Bulk interface {
	Write
	// Size is the number of rows.
	Size() int
	// Policy is what a failing row does to the others.
	Policy() ErrorPolicy
	// CheckRows finds values that no stock can make valid, by the index of the row.
	CheckRows() RowErrors
}

// RowErrors are the errors of rows by their index.
type RowErrors map[int][]UserError

// BadRows returns the rows that a bulk write leaves out because no stock can make
// them valid. Only RejectFailedRows leaves rows out. With RejectEverything, Check
// refuses the whole write.
func BadRows(w Bulk) RowErrors {
	if w.Policy() != RejectFailedRows {
		return nil
	}
	return w.CheckRows()
}

// checkEach runs check for each of n rows and collects the errors.
func checkEach(n int, check func(c *checker, i int)) RowErrors {
	bad := RowErrors{}
	for i := range n {
		var c checker
		if check(&c, i); len(c.errs) > 0 {
			bad[i] = c.errs
		}
	}
	return bad
}

// rows checks the number of rows and, where one bad row rejects them all, each row.
func (c *checker) rows(w Bulk, limit int) {
	if !c.entries(w.Size(), limit, "rows") {
		return
	}
	if w.Policy() == RejectFailedRows {
		return // the result of the write reports them
	}
	bad := w.CheckRows()
	for i := range w.Size() {
		c.errs = slices.Concat(c.errs, bad[i])
	}
}

// checkUpsert checks what the writes of products, locations and channels have in
// common.
func checkUpsert(w Bulk, limit int) []UserError {
	var c checker
	c.key(w.Key())
	c.rows(w, limit)
	return c.errs
}

// rowsByID refuses an id that an earlier row of the same write has.
type rowsByID map[string]int

func (seen rowsByID) check(c *checker, id, field string, i int) {
	c.id(id, "rows", i, field)
	if earlier, again := seen[id]; again {
		c.errs = append(c.errs, Invalid(InputPath("rows", i), "row %d has the same %s", earlier, field))
		return
	}
	seen[id] = i
}

// Patch is a new value for a setting that may be null. It changes nothing unless
// Given. A given nil clears the setting.
type Patch[T any] struct {
	Given bool
	Value *T
}

// MarshalJSON returns the value, for the hash of the input. A time is the same in
// every zone. Unlike time.Time, a Patch can also write a year beyond 9999, so that
// an input that Check refuses has a hash too.
func (p Patch[T]) MarshalJSON() ([]byte, error) {
	if at, ok := any(p.Value).(*time.Time); ok && at != nil {
		return json.Marshal(at.UTC().Format(time.RFC3339Nano))
	}
	return json.Marshal(p.Value)
}

// ApplyTo returns the setting after the patch.
func (p Patch[T]) ApplyTo(old *T) *T {
	if p.Given {
		return p.Value
	}
	return old
}

func replace[T any](old *T, given *T) {
	if given != nil {
		*old = *given
	}
}
