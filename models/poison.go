package models

import (
	"fmt"
	"maps"
	"slices"
)

// PoisonRowsError says that some products cannot be read: a row of each holds
// a value that this program does not accept. The other products that were
// asked for are returned beside the error.
type PoisonRowsError struct {
	// Causes has the reason for each product id.
	Causes map[string]error
}

// Error names one of the products and its cause.
func (e *PoisonRowsError) Error() string {
	id := e.first()
	return fmt.Sprintf("%d products cannot be read, such as %s: %v", len(e.Causes), id, e.Causes[id])
}

// Unwrap returns the cause of the product that Error names.
func (e *PoisonRowsError) Unwrap() error { return e.Causes[e.first()] }

// first is the lowest of the product ids, so that the message is stable.
func (e *PoisonRowsError) first() string { return slices.Min(slices.Collect(maps.Keys(e.Causes))) }
