package compiled

import (
	"strconv"
	"time"

	"onhand/graph/scalar"
	"onhand/models"
	"onhand/models/ids"
	"onhand/models/paging"
)

func appendNull(b []byte) []byte { return append(b, "null"...) }

func appendBool(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }

// appendInt appends an Int, as scalar.MarshalInt does.
func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(models.Units(n)), 10) }

// appendBigInt appends a BigInt, as scalar.MarshalBigInt does.
func appendBigInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendTime(b []byte, t time.Time) []byte { return scalar.AppendTime(b, t) }

func appendOptionalTime(b []byte, t *time.Time) []byte {
	if t == nil {
		return appendNull(b)
	}
	return appendTime(b, *t)
}

const hexDigits = "0123456789ABCDEF"

// appendString appends a text as graphql.MarshalString writes it.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '\\' && c != '"' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '\t':
			b = append(b, `\t`...)
		case '\r':
			b = append(b, `\r`...)
		case '\n':
			b = append(b, `\n`...)
		case '\\', '"':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
	}
	return append(append(b, s[start:]...), '"')
}

// appendNodeID appends the global id of an object that is no product.
func appendNodeID(b []byte, n ids.Object) []byte {
	return append(n.AppendTo(append(b, '"')), '"')
}

// appendOptionalCursor appends the cursor of a product; null for none.
func appendOptionalCursor(b []byte, key string) []byte {
	if key == "" {
		return appendNull(b)
	}
	return append(paging.AppendProductCursor(append(b, '"'), key), '"')
}
