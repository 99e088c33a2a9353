package models

import (
	"slices"
	"strconv"
)

// ErrorPolicy says what a failing row does to the other rows of a bulk write.
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
	// Policy says what a failing row does to the others.
	Policy() ErrorPolicy
	// CheckRows finds what can never be right in each row, by its index,
	// without looking at any stock.
	CheckRows() RowErrors
}

// RowErrors are the errors of rows by their index.
type RowErrors map[int][]UserError

// BadRows are the rows of a bulk write that are left out of it because they can
// never be right. With every other policy such a write is refused as a whole, by
// its Check.
func BadRows(w Bulk) RowErrors {
	if w.Policy() != RejectFailedRows {
		return nil
	}
	return w.CheckRows()
}

// checkEach gathers what check finds wrong with each of n rows.
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

// rows checks how many rows there are and, where one bad row rejects them all,
// each of them.
func (c *checker) rows(w Bulk, limit int) {
	if n := w.Size(); n == 0 || n > limit {
		c.add("must have 1 to "+strconv.Itoa(limit)+" entries", "rows")
		return
	}
	if w.Policy() == RejectFailedRows {
		return // told beside the rows that are written
	}
	bad := w.CheckRows()
	for i := range w.Size() {
		c.errs = slices.Concat(c.errs, bad[i])
	}
}
