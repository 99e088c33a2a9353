package ledger

import (
	"errors"
	"reflect"
	"testing"

	"onhand/models"
)

// FuzzPosition checks that a cursor is exactly the text of a position after a movement.
// Everything else is refused as bad user input, before any query.
func FuzzPosition(f *testing.F) {
	seen := position{from: txSnapshot{next: 900, running: []int64{850, 899}}, to: &txSnapshot{next: 1000}, id: 7, last: 7, txid: 950, createdAt: 1}
	f.Add(seen.String())
	for _, change := range []func(*position){
		func(p *position) { p.to = nil },
		func(p *position) { p.id = 1<<63 - 1 },
		func(p *position) { p.from.running = []int64{899, 850} },
		func(p *position) { p.from.running = []int64{-5} },
		func(p *position) { p.to = &txSnapshot{next: 3, running: []int64{3}} },
	} {
		odd := seen
		change(&odd)
		f.Add(odd.String())
	}
	for _, cursor := range []string{"", "A", "AQ", "AQ\n", seen.String() + "A", seen.String() + "=", "AYAAAAAA"} {
		f.Add(cursor)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		p, err := parsePosition(cursor)
		if err != nil {
			var fault *models.Fault
			if !errors.As(err, &fault) || fault.Code != models.CodeBadUserInput || !reflect.DeepEqual(p, position{}) {
				t.Fatalf("%q: %+v, %v", cursor, p, err)
			}
			return
		}
		if p.String() != cursor {
			t.Fatalf("%q is read as %+v, which is written %q", cursor, p, p.String())
		}
		if p.to == nil || p.id != p.last || p.id < 1 {
			t.Fatalf("%q is not a position after a movement: %+v", cursor, p)
		}
		for _, s := range []txSnapshot{p.from, *p.to} {
			last := int64(0)
			for _, txid := range s.running {
				if txid <= last || txid >= s.next {
					t.Fatalf("%q has a snapshot that no server returns: %+v", cursor, s)
				}
				last = txid
			}
		}
	})
}

// FuzzSnapshot checks that a snapshot of a server is parsed in order, or is an error.
func FuzzSnapshot(f *testing.F) {
	for _, text := range []string{"10:20:10,14,15", "1:1:", "10:20:15,10", "::", "1:2:x", "9223372036854775808:1:"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSnapshot(text)
		if err != nil {
			return
		}
		for i := 1; i < len(s.running); i++ {
			if s.running[i] < s.running[i-1] {
				t.Fatalf("%q: %v", text, s.running)
			}
		}
	})
}
