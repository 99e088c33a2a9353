package poison

import (
	"fmt"
	"maps"
	"slices"
)

// RowsError reports products that cannot be read: a row of each has a value that
// this program does not accept. The read returns the other products beside the error.
type RowsError struct {
	// Causes has the reason for each product id.
	Causes map[string]error
}

// Error names one of the products and its cause.
func (e *RowsError) Error() string {
	id := e.first()
	return fmt.Sprintf("%d products cannot be read, such as %s: %v", len(e.Causes), id, e.Causes[id])
}

// Unwrap returns the cause of the product that Error names.
func (e *RowsError) Unwrap() error { return e.Causes[e.first()] }

// first returns the lowest product id, so that the message is stable.
func (e *RowsError) first() string { return slices.Min(slices.Collect(maps.Keys(e.Causes))) }
