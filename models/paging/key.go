package paging

import "strconv"

// Key is a text that two requests for the same page of the same query have in common, and
// no others. View, Members and Buffer follow from the other fields.
func (f ProductQuery) Key(asked Request) string {
	b := make([]byte, 0, 64)
	number := func(n int) { b = append(strconv.AppendInt(b, int64(n), 10), ' ') }
	text := func(s string) { b = append(append(strconv.AppendInt(b, int64(len(s)), 10), ':'), s...) }
	number(asked.First)
	number(asked.Last)
	text(asked.After)
	text(asked.Before)
	text(string(f.Order))
	text(f.TitleContains)
	text(f.Search)
	text(f.LocationID)
	text(f.Channel)
	tracked := 0
	if f.Tracked != nil {
		tracked = 1
		if *f.Tracked {
			tracked = 2
		}
	}
	number(tracked)
	number(len(f.IDs))
	for _, id := range f.IDs {
		text(id)
	}
	for _, status := range f.Statuses {
		text(string(status))
	}
	return string(b)
}
