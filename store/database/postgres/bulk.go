package postgres

import (
	"regexp"
	"strings"
)

// A bulk statement has two forms. Where each column has one value, the statement reads it
// by its index: Postgres takes as long to set up functions that return rows as to insert
// four rows. Gain: 50 us of a transaction with one reservation
// (docs/decisions.md, record 21). [dialect.Switches] NoSingleRow switches the form for one
// row off.

// bulk is a statement over the values of its columns. It names each column once, as
// each($1::text[]).
type bulk struct{ one, many string }

var eachValue = regexp.MustCompile(`each\((\$\d+::\w+\[\])\)`)

// newBulk makes both forms of a statement. In the list of a SELECT, unnest returns its
// values one by one; in FROM, Postgres would materialise them first.
func newBulk(query string) bulk {
	return bulk{eachValue.ReplaceAllString(query, "(${1})[1]"), strings.ReplaceAll(query, "each(", "unnest(")}
}

// statement returns the form for n values of each column.
func (e *Engine) statement(b bulk, n int) string {
	if n == 1 && !e.without.NoSingleRow {
		return b.one
	}
	return b.many
}
