package model

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind is what a customer did.
type Kind string

// The kinds of operations.
const (
	Reserve Kind = "reserve"
	Commit  Kind = "commit"
	Release Kind = "release"
	Extend  Kind = "extend"
	Expire  Kind = "expire" // no customer asks for it: found in the ledger at the end
	Read    Kind = "read"   // on the primary
)

// The states of a reservation, as the API names them.
const (
	StateActive    = "ACTIVE"
	StateCommitted = "COMMITTED"
	StateReleased  = "RELEASED"
	StateExpired   = "EXPIRED"
)

// Never is when an operation without a definite answer returned: it may take effect at any time, or not at all.
const Never = math.MaxInt64

// Operation is one thing that a customer did, with all its retries.
type Operation struct {
	Customer int
	Kind     Kind
	// Cart numbers the reservation that it makes or is about; a Read has none.
	Cart int
	// Lines are units by product.
	Lines map[string]int
	// Ended are, for an Expire, the carts that one transaction has ended, by product.
	Ended map[string][]int
	// Call and Return are nanoseconds since the history began.
	Call, Return int64
	// Done: it was done; refused otherwise.
	Done bool
	// GaveUp: no attempt had an answer until the customer gave up.
	GaveUp bool
	// State is, for a refusal because of the reservation's state, that state.
	State string
	// Short is, for a refusal, what there was of the products of which there was too little.
	Short map[string]int
	// Seen is what a Read saw, by product.
	Seen map[string]StateCounts
}

// StateCounts is what a read on the primary sees of one product.
type StateCounts struct{ Available, Reserved, Committed int }

// Pending reports that it is not known whether it was done.
func (o Operation) Pending() bool { return o.Return == Never }

// String is the operation in a line.
func (o Operation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "customer %d: %s", o.Customer, o.Kind)
	switch o.Kind {
	case Read:
	case Expire:
		fmt.Fprintf(&b, " %v", o.Ended)
	default:
		fmt.Fprintf(&b, " #%d %v", o.Cart, o.Lines)
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

// Cart is one reservation that a customer asked for.
type Cart struct {
	// Number distinguishes it from all others of the scenario. It is the owner of the reservation, so that the row can be found
	// even when no answer came.
	Number int
	// ID is the reservation's, empty while it is not known.
	ID    string
	Lines map[string]int
	// ExpiresAt is as its answer said.
	ExpiresAt time.Time
}

// ownerPrefix goes before the number of a cart.
const ownerPrefix = "cart-"

// Owner is the ownerRef of the cart.
func (c Cart) Owner() string { return ownerPrefix + strconv.Itoa(c.Number) }

// CartOf is the number of the cart with this ownerRef; 0 for no cart of ours.
func CartOf(ownerRef string) int {
	text, ours := strings.CutPrefix(ownerRef, ownerPrefix)
	number, err := strconv.Atoi(text)
	if err != nil || !ours {
		return 0
	}
	return number
}

// Acknowledged is a write with an idempotency key that was answered. Where it was done, the same key must get the same
// answer for ever. Where it was refused, the key must be free.
type Acknowledged struct {
	Document string
	Input    map[string]any
	// Done: it was done; refused otherwise.
	Done bool
	// Answer is the reservation's id and what was refused.
	Answer string
}
