package faults

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind is what a customer did.
type Kind string

// The kinds of operations.
const (
	Hold    Kind = "hold"
	Commit  Kind = "commit"
	Release Kind = "release"
	Extend  Kind = "extend"
	Expire  Kind = "expire" // nobody asks for it: found in the database at the end
	Read    Kind = "read"   // on the primary
)

// never is when an operation without a definite answer returned: it may take effect at any time, or not at all.
const never = math.MaxInt64

// Operation is one thing a customer did, with all its retries: from the first attempt to the definite answer.
type Operation struct {
	Customer int
	Kind     Kind
	// Hold numbers the hold that it makes or is about; reads have none.
	Hold int
	// Lines are units by product.
	Lines map[string]int
	// Ended are, for an Expire, the holds that one transaction has ended, by product.
	Ended map[string][]int
	// Call and Return are nanoseconds since the history began; Return is never without a definite answer.
	Call, Return int64
	// Done tells that it was carried out; refused otherwise.
	Done bool
	// State is, for a refusal because of the hold's state, that state.
	State string
	// Short is what the shop said it had of the products there was too little of.
	Short map[string]int
	// Seen is what a read saw, by product.
	Seen map[string]Shelf
}

// Shelf is what a read on the primary sees of one product.
type Shelf struct{ Available, Reserved, Committed int }

// Pending tells that nobody knows whether it was carried out.
func (o Operation) Pending() bool { return o.Return == never }

// Promise is an acknowledged write with an idempotency key, to be asked again at the end.
type Promise struct {
	Document string
	Input    map[string]any
	// Answer is the reservation's id and what was refused.
	Answer string
}

// Made is one hold that was asked for.
type Made struct {
	// Number tells it from all others of the scenario. It goes to the shop as the hold's owner, so that its row can be
	// found even when no answer came.
	Number int
	// ID is the reservation's, empty while it is not known.
	ID    string
	Lines map[string]int
	// Ends is when it is over, as its answer said.
	Ends time.Time
}

// owner is the ownerRef of the hold.
func (m Made) owner() string { return ownerPrefix + strconv.Itoa(m.Number) }

// ownerPrefix goes before the numbers of holds.
const ownerPrefix = "hold-"

// History is what all customers of a scenario did.
type History struct {
	began time.Time

	mu         sync.Mutex
	operations []Operation
	promises   []Promise
	holds      int
}

func newHistory() *History { return &History{began: time.Now()} }

// Now is the time of the history.
func (h *History) Now() int64 { return time.Since(h.began).Nanoseconds() }

// At is a moment of the wall clock in the time of the history. Databases whose clock was moved are not on it.
func (h *History) At(moment time.Time) int64 { return moment.Sub(h.began.Round(0)).Nanoseconds() }

// NewHold numbers a hold that is about to be asked for.
func (h *History) NewHold(lines map[string]int) Made {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holds++
	return Made{Number: h.holds, Lines: lines}
}

// Record adds an operation.
func (h *History) Record(o Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, o)
}

// Promised adds an acknowledged write.
func (h *History) Promised(p Promise) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.promises = append(h.promises, p)
}

// historyMark is how far a history has come, with nothing under way.
type historyMark struct{ operations, promises int }

func (h *History) mark() historyMark {
	h.mu.Lock()
	defer h.mu.Unlock()
	return historyMark{len(h.operations), len(h.promises)}
}

// cut takes everything after a mark out of the history: it never happened.
func (h *History) cut(m historyMark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations, h.promises = h.operations[:m.operations], h.promises[:m.promises]
}

// Operations is a copy of what was recorded.
func (h *History) Operations() []Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.operations)
}

// Promises is a copy of the acknowledged writes.
func (h *History) Promises() []Promise {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.promises)
}

// String is the operation in a line.
func (o Operation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "customer %d: %s", o.Customer, o.Kind)
	switch o.Kind {
	case Read:
	case Expire:
		fmt.Fprintf(&b, " %v", o.Ended)
	default:
		fmt.Fprintf(&b, " #%d %v", o.Hold, o.Lines)
	}
	switch {
	case o.Pending():
		b.WriteString(" -> ?")
	case o.Kind == Read:
		fmt.Fprintf(&b, " -> %v", o.Seen)
	case o.Done:
		b.WriteString(" -> done")
	case o.State != "":
		b.WriteString(" -> refused: it is " + o.State)
	default:
		fmt.Fprintf(&b, " -> refused: there are %v", o.Short)
	}
	return b.String()
}
