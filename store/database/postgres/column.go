package postgres

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"onhand/models"
	"onhand/store/database/decide/rowjson"
)

// column is a parameter of many values: an array in the server's binary format. pgx
// would inspect each value by reflection, and a batch has some thirty columns of hundreds
// of values.
type column struct {
	element uint32 // the type of its values
	buf     []byte // the head of an array, then the values
	n       int32
	form    rowjson.JSON // of lines
	room    int          // in the first column of a statement: the bytes of all its columns
}

// columnHead is the size of an array's header: the number of dimensions, a flag for
// nulls, the type; then the length and the first index of its one dimension.
const columnHead = 20

// timestampEpoch is the moment from which Postgres counts.
var timestampEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// newColumn returns an empty column with capacity for n values of about size bytes.
func newColumn(element uint32, n, size int) *column {
	return &column{element: element, buf: make([]byte, columnHead, columnHead+n*(size+4))}
}

func textColumn(n, size int) *column  { return newColumn(pgtype.TextOID, n, size) }
func jsonColumn(n, size int) *column  { return newColumn(pgtype.JSONBOID, n, size) }
func bytesColumn(n, size int) *column { return newColumn(pgtype.ByteaOID, n, size) }
func intColumn(n int) *column         { return newColumn(pgtype.Int4OID, n, 4) }
func longColumn(n int) *column        { return newColumn(pgtype.Int8OID, n, 8) }
func timeColumn(n int) *column        { return newColumn(pgtype.TimestamptzOID, n, 8) }

func linesColumn(n int, form rowjson.JSON) *column {
	c := newColumn(pgtype.JSONOID, n, linesSize)
	c.form = form
	return c
}

func (c *column) text(s string) {
	c.size(len(s))
	c.buf = append(c.buf, s...)
}

// json appends a text that is JSON.
func (c *column) json(s []byte) {
	c.size(len(s) + 1)
	c.buf = append(c.buf, 1) // the version of the binary form
	c.buf = append(c.buf, s...)
}

// lines appends a reservation's lines.
func (c *column) lines(lines []models.ReservationLine) {
	c.size(0)
	at := len(c.buf)
	c.buf = c.form.AppendLines(c.buf, lines)
	binary.BigEndian.PutUint32(c.buf[at-4:], uint32(len(c.buf)-at))
}

func (c *column) bytes(b []byte) {
	if b == nil {
		c.null()
		return
	}
	c.size(len(b))
	c.buf = append(c.buf, b...)
}

func (c *column) int(v int) {
	c.size(4)
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(int32(v)))
}

func (c *column) long(v int64) {
	c.size(8)
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(v))
}

func (c *column) time(t time.Time) { c.long(t.UnixMicro() - timestampEpoch.UnixMicro()) }

func (c *column) null() {
	c.size(-1)
	c.buf[7] = 1
}

func (c *column) size(n int) {
	c.n++
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(int32(n)))
}

// array is the column in binary format.
func (c *column) array() []byte {
	binary.BigEndian.PutUint32(c.buf, 1)
	binary.BigEndian.PutUint32(c.buf[8:], c.element)
	binary.BigEndian.PutUint32(c.buf[12:], uint32(c.n))
	binary.BigEndian.PutUint32(c.buf[16:], 1)
	return c.buf
}

// TextValue implements pgtype.TextValuer: the array as text, for connections without
// prepared statements.
func (c *column) TextValue() (pgtype.Text, error) {
	parts := make([]string, 0, c.n)
	for rest := c.buf[columnHead:]; len(rest) > 0; {
		size := int32(binary.BigEndian.Uint32(rest))
		if rest = rest[4:]; size < 0 {
			parts = append(parts, "NULL")
			continue
		}
		part, err := c.valueText(rest[:size])
		if err != nil {
			return pgtype.Text{}, err
		}
		parts, rest = append(parts, part), rest[size:]
	}
	return pgtype.Text{String: "{" + strings.Join(parts, ",") + "}", Valid: true}, nil
}

var quoteValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func (c *column) valueText(raw []byte) (string, error) {
	switch c.element {
	case pgtype.TextOID, pgtype.JSONOID:
		return `"` + quoteValue.Replace(string(raw)) + `"`, nil
	case pgtype.JSONBOID:
		return `"` + quoteValue.Replace(string(raw[1:])) + `"`, nil
	case pgtype.ByteaOID:
		return `"\\x` + hex.EncodeToString(raw) + `"`, nil
	case pgtype.Int4OID:
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(raw)))), nil
	case pgtype.Int8OID:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(raw)), 10), nil
	case pgtype.TimestamptzOID:
		at := time.UnixMicro(int64(binary.BigEndian.Uint64(raw)) + timestampEpoch.UnixMicro())
		return `"` + at.UTC().Format(time.RFC3339Nano) + `"`, nil
	}
	return "", fmt.Errorf("a column of type %d cannot be written as text", c.element)
}

// registerColumns makes a connection send columns as they are.
func registerColumns(_ context.Context, conn *pgx.Conn) error {
	types := conn.TypeMap()
	types.TryWrapEncodePlanFuncs = append([]pgtype.TryWrapEncodePlanFunc{wrapColumn}, types.TryWrapEncodePlanFuncs...)
	return nil
}

// wrapColumn implements pgtype.TryWrapEncodePlanFunc. pgx checks a list in place of the
// column to find out whether it can encode the type.
func wrapColumn(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
	c, ok := value.(*column)
	if !ok {
		return nil, nil, false
	}
	var alike any
	switch c.element {
	case pgtype.ByteaOID:
		alike = [][]byte{}
	case pgtype.Int4OID:
		alike = []int32{}
	case pgtype.Int8OID:
		alike = []int64{}
	case pgtype.TimestamptzOID:
		alike = []time.Time{}
	default:
		alike = []string{}
	}
	return encodeColumn{}, alike, true
}

// parameters are the columns of a statement. The first one makes pgx allocate for all of
// them, instead of doubling its buffer again and again.
func parameters(columns ...*column) []any {
	list := make([]any, len(columns))
	columns[0].room = 0
	for i, c := range columns {
		list[i] = c
		columns[0].room += len(c.buf)
	}
	return list
}

type encodeColumn struct{}

// SetNext implements pgtype.WrappedEncodePlanNextSetter.
func (encodeColumn) SetNext(pgtype.EncodePlan) {}

// Encode implements pgtype.EncodePlan.
func (encodeColumn) Encode(value any, buf []byte) ([]byte, error) {
	c := value.(*column)
	return append(slices.Grow(buf, max(c.room, len(c.buf))), c.array()...), nil
}

// quantityColumns are one column for each state.
type quantityColumns [7]*column

func newQuantityColumns(n int) (q quantityColumns) {
	for i := range q {
		q[i] = intColumn(n)
	}
	return q
}

func (c *quantityColumns) add(q models.Quantities) {
	for i, n := range [...]int{q.Available, q.Reserved, q.Committed, q.Damaged, q.QualityControl, q.SafetyStock, q.Incoming} {
		c[i].int(n)
	}
}

func (c *quantityColumns) args() []any {
	args := make([]any, len(c))
	for i := range c {
		args[i] = c[i]
	}
	return args
}
