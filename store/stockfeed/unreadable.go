package stockfeed

import (
	"fmt"
	"maps"
	"slices"
)

// UnreadableError says that some products, and they alone, cannot be read: a
// row of theirs holds what we do not understand. What else was asked for comes
// along with it.
type UnreadableError struct {
	// Causes are by product id.
	Causes map[string]error
}

func (e *UnreadableError) Error() string {
	id := e.first()
	return fmt.Sprintf("%d products cannot be read, such as %s: %v", len(e.Causes), id, e.Causes[id])
}

// Unwrap gives one of the causes, for they are alike.
func (e *UnreadableError) Unwrap() error { return e.Causes[e.first()] }

func (e *UnreadableError) first() string { return slices.Min(slices.Collect(maps.Keys(e.Causes))) }
