package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"onhand/models"
)

// Bounds of a cursor.
const (
	cursorLengthMax = 16 << 10 // characters
	// runningMax is how many running transactions a snapshot may name: more than a server has
	// connections.
	runningMax = 4096
)

// txSnapshot is the set of transactions that had committed: those below next that were not
// running. The zero snapshot is empty.
type txSnapshot struct {
	next    int64
	running []int64 // ascending
}

// parseSnapshot parses the text of a pg_snapshot: xmin:xmax:running,running.
func parseSnapshot(text string) (s txSnapshot, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, fmt.Errorf("a snapshot came as %q", text)
	}
	if s.next, err = strconv.ParseInt(parts[1], 10, 64); err != nil || parts[2] == "" {
		return s, err
	}
	for _, number := range strings.Split(parts[2], ",") {
		txid, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return s, err
		}
		s.running = append(s.running, txid)
	}
	slices.Sort(s.running)
	return s, nil
}

func (s txSnapshot) equal(other txSnapshot) bool {
	return s.next == other.next && slices.Equal(s.running, other.running)
}

// committed limits a query to transactions that had committed. txid is SQL for theirs.
func (s txSnapshot) committed(c *conditions, txid string) {
	c.add(txid+" < ?", s.next)
	if len(s.running) > 0 {
		c.add(txid+" NOT IN ?", s.running)
	}
}

// position is how far a feed has come. It has returned what committed in from, and of what
// committed in to the movements up to id.
//
// Within one step movements are in id order. Those of one product are in the order of their
// versions, because ids are assigned while the product is locked. What commits later belongs
// to a later step, whatever ids it took before.
type position struct {
	from txSnapshot
	to   *txSnapshot // nil: nothing after from has been looked at
	id   int64

	// The transaction and time of the last movement, to detect another ledger. Zero where
	// there was none.
	last      int64
	txid      int64
	createdAt int64 // microseconds since 1970
}

// after returns the position after a row.
func (p position) after(row *movementRow) position {
	p.id, p.last, p.txid, p.createdAt = row.MovementID, row.MovementID, row.txid, row.CreatedAt.UnixMicro()
	return p
}

// withCursor sets a movement's cursor. After it come all larger ids, and everything that had
// not committed when the movement was read.
func withCursor(row *movementRow) *models.StockMovement {
	if to, err := parseSnapshot(row.snapshot); err == nil {
		row.Cursor = position{to: &to}.after(row).String()
	}
	return &row.StockMovement
}

// String is the cursor: numbers of variable length, in base64.
func (p position) String() string {
	b := appendSnapshot([]byte{1}, p.from)
	if p.to == nil {
		b = binary.AppendVarint(b, 0)
	} else {
		b = appendSnapshot(binary.AppendVarint(b, 1), *p.to)
	}
	for _, n := range []int64{p.id, p.last, p.txid, p.createdAt} {
		b = binary.AppendVarint(b, n)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func appendSnapshot(b []byte, s txSnapshot) []byte {
	b = binary.AppendVarint(b, s.next)
	b = binary.AppendVarint(b, int64(len(s.running)))
	for _, txid := range s.running {
		b = binary.AppendVarint(b, s.next-txid)
	}
	return b
}

// parsePosition parses a cursor.
//
// Errors: bad input for a text that String does not write.
func parsePosition(cursor string) (p position, err error) {
	refused := models.BadInput("this is no cursor of a stock movement: %.40q", cursor)
	if len(cursor) > cursorLengthMax {
		return p, refused
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) == 0 || b[0] != 1 {
		return p, refused
	}
	r := varints{b: b[1:]}
	p.from = r.snapshot()
	if r.next() != 0 {
		to := r.snapshot()
		p.to = &to
	}
	for _, n := range []*int64{&p.id, &p.last, &p.txid, &p.createdAt} {
		*n = r.next()
	}
	// A movement's cursor is inside a step, at that movement. base64 and varints have other
	// spellings, which are refused.
	if r.broken || len(r.b) > 0 || p.to == nil || p.id != p.last || p.id < 1 || p.String() != cursor {
		return position{}, refused
	}
	return p, nil
}

// varints decodes numbers until they end or are invalid.
type varints struct {
	b      []byte
	broken bool
}

func (r *varints) next() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 || n < 0 {
		r.broken = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *varints) snapshot() (s txSnapshot) {
	s.next = r.next()
	count := r.next()
	if count > runningMax {
		r.broken = true
		return s
	}
	for range count {
		txid := s.next - r.next()
		if txid < 1 || txid >= s.next || len(s.running) > 0 && txid <= s.running[len(s.running)-1] {
			r.broken = true
			return s
		}
		s.running = append(s.running, txid)
	}
	return s
}
