package graph

import (
	"encoding/base64"

	"onhand/models"
	"onhand/models/paging"
)

// pageOf checks the arguments of a connection: forwards or backwards, with a bounded
// size.
func pageOf(first *int, after *string, last *int, before *string) (paging.Request, error) {
	var page paging.Request
	switch {
	case first != nil && last != nil:
		return page, models.BadInput("first and last together make no page; give one")
	case last != nil:
		page.Last = *last
	case first != nil:
		page.First = *first
	default:
		page.First = models.PageSizeDefault
	}
	if n := max(page.First, page.Last); n < 1 || n > models.PageSizeMax || page.First < 0 || page.Last < 0 {
		return page, models.BadInput("a page has 1 to %d entries", models.PageSizeMax)
	}
	var err error
	if page.After, err = parseCursor(after); err != nil {
		return page, err
	}
	page.Before, err = parseCursor(before)
	return page, err
}

// cursorKeyMax bounds the key of a cursor in characters: an id, after the name of the list.
const cursorKeyMax = models.IDLengthMax + 32

// cursorOf returns the cursor of an edge.
func cursorOf(key string) string { return string(paging.AppendCursor(nil, key)) }

// parseCursor accepts only what cursorOf writes: base64 has other spellings.
func parseCursor(cursor *string) (string, error) {
	if cursor == nil {
		return "", nil
	}
	key, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err != nil || len(key) == 0 || models.CheckText(string(key), cursorKeyMax) != "" || cursorOf(string(key)) != *cursor {
		return "", models.BadInput("this is no cursor of ours: %.40q", *cursor)
	}
	return string(key), nil
}
