package postgres

import (
	"regexp"
	"strings"
)

// bulk is a statement over the values of its columns, each of which it names once,
// as each($1::text[]).
type bulk struct{ one, many string }

var eachValue = regexp.MustCompile(`each\((\$\d+::\w+\[\])\)`)

// newBulk makes both forms of a statement. Where there is one value of each it is
// read from its place: to set up functions that return rows takes as long as four
// rows take to insert. In a list of what is selected such functions give their
// values one by one; as tables to select from, they would be written down first.
func newBulk(query string) bulk {
	return bulk{eachValue.ReplaceAllString(query, "(${1})[1]"), strings.ReplaceAll(query, "each(", "unnest(")}
}

// of is the statement for n values of each.
func (b bulk) of(n int) string {
	if n == 1 {
		return b.one
	}
	return b.many
}
