package scalar

import (
	"encoding/json"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"onhand/models"
)

// BigIntLimit is 2^53. A browser's numbers lose digits beyond it.
const BigIntLimit = 1 << 53

// MarshalBigInt writes a JSON number.
func MarshalBigInt(n int64) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) { _, _ = io.WriteString(w, strconv.FormatInt(n, 10)) })
}

// UnmarshalBigInt reads a whole number below 2^53.
func UnmarshalBigInt(v any) (int64, error) {
	n, ok := Whole(v)
	if !ok || n >= BigIntLimit || n <= -BigIntLimit {
		return 0, models.BadInput("want a whole number below 2^53")
	}
	return n, nil
}

// Whole reads a number without a fraction, however it is written: 5, 5.0 and 5e0 are
// the same. ok is false for any other value, for text, and beyond 64 bits. A number that
// is written with a fraction or an exponent has to be below 2^53.
func Whole(v any) (n int64, ok bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < BigIntLimit
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n, true
		}
		f, err := v.Float64()
		if err != nil {
			return 0, false
		}
		return Whole(f)
	}
	return 0, false
}

// MarshalInt writes a JSON number of 32 bits, the nearest one where n has more. The
// lines of one product can add up to more, far above what any product may have. A
// typed client cannot read more than 32 bits.
func MarshalInt(n int) graphql.Marshaler { return graphql.MarshalInt(models.Units(n)) }

// UnmarshalInt reads a whole number of 32 bits, as the GraphQL specification says.
func UnmarshalInt(v any) (int, error) {
	n, ok := Whole(v)
	if !ok || n > math.MaxInt32 || n < math.MinInt32 {
		return 0, models.BadInput("want a whole number of 32 bits")
	}
	return int(n), nil
}

// timeLayout is RFC 3339 in UTC with milliseconds, always of the same width.
const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalTime writes RFC 3339 in UTC.
func MarshalTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(AppendTime(nil, t)) })
}

// AppendTime appends a time as MarshalTime writes it.
func AppendTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), timeLayout), '"')
}

// UnmarshalTime reads RFC 3339 in any zone. In UTC the time can be outside of the
// years that RFC 3339 has. The write's own check refuses such a time.
func UnmarshalTime(v any) (time.Time, error) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, models.BadInput("want a time such as 2026-03-01T12:00:00Z")
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, models.BadInput("want a time such as 2026-03-01T12:00:00Z")
	}
	return t.UTC(), nil
}
