package graph

import (
	"errors"
	"testing"
	"time"

	"onhand/models"
	"onhand/models/paging"
)

// isBadInput reports whether err is a refusal with a message for the client.
func isBadInput(err error) bool {
	var fault *models.Fault
	return errors.As(err, &fault) && fault.Code == models.CodeBadUserInput && fault.Message != ""
}

// FuzzCursor: a cursor of products, of the ledger or of reservations has one spelling. All other text is
// refused as BAD_USER_INPUT.
func FuzzCursor(f *testing.F) {
	for _, cursor := range []string{
		productCursorOf("mug-1"), productCursorOf("süd 🫖"), cursorOf("mug-1"), cursorOf("product:"), movementCursorOf(7), cursorOf("movement:007"), cursorOf("movement:+7"), cursorOf("movement:-7"),
		reservationCursorOf(paging.ReservationPosition{CreatedAt: time.UnixMicro(7).UTC(), ID: "res_1"}), cursorOf("reservation:07:"), cursorOf("reservation:7"),
		"", "Y", "YR", "Y\nQ", "YQ==", "_w", cursorOf("a\x00"),
	} {
		f.Add(cursor)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		page, err := productPageOf(nil, &cursor, nil, nil)
		switch {
		case err != nil && !isBadInput(err):
			t.Fatalf("%q: %v", cursor, err)
		case err == nil && productCursorOf(page.After) != cursor:
			t.Fatalf("%q is parsed as %q, whose cursor is %q", cursor, page.After, productCursorOf(page.After))
		}
		moved, err := movementsPageOf(nil, nil, nil, &cursor)
		switch {
		case err != nil && !isBadInput(err):
			t.Fatalf("%q: %v", cursor, err)
		case err == nil && movementCursorOf(moved.Before) != cursor:
			t.Fatalf("%q is parsed as movement %d, whose cursor is %q", cursor, moved.Before, movementCursorOf(moved.Before))
		}
		listed, err := reservationPageOf(nil, nil, nil, &cursor)
		switch {
		case err != nil && !isBadInput(err):
			t.Fatalf("%q: %v", cursor, err)
		case err == nil && reservationCursorOf(listed.Before) != cursor:
			t.Fatalf("%q is parsed as %v, whose cursor is %q", cursor, listed.Before, reservationCursorOf(listed.Before))
		}
	})
}

// FuzzPage: for all numbers, an accepted page is either forwards or backwards and has a
// bounded size.
func FuzzPage(f *testing.F) {
	f.Add(1, 0, uint8(1))
	f.Add(-1, 250, uint8(3))
	f.Add(251, -1<<63, uint8(2))
	f.Fuzz(func(t *testing.T, first, last int, given uint8) {
		var ask [2]*int
		for i, n := range []*int{&first, &last} {
			if given&(1<<i) != 0 {
				ask[i] = n
			}
		}
		page, err := pageOf(ask[0], nil, ask[1], nil)
		if err != nil {
			if !isBadInput(err) {
				t.Fatal(err)
			}
			return
		}
		if n := page.First + page.Last; n < 1 || n > models.PageSizeMax || page.First*page.Last != 0 {
			t.Fatalf("first %d, last %d make a page of %d and %d", first, last, page.First, page.Last)
		}
	})
}
