package rowjson

import (
	"encoding/json"
	"strconv"

	"onhand/models"
)

// JSON writes JSON by hand.
type JSON struct {
	// Std has encoding/json write the same bytes.
	Std bool
}

// AppendReserve appends a Reserve.
func (j JSON) AppendReserve(b []byte, w models.Reserve) []byte {
	if j.Std {
		return appendStdJSON(b, w)
	}
	b = appendText(append(b, `{"idempotencyKey":`...), w.IdempotencyKey)
	b = append(b, `,"lines":`...)
	if w.Lines == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, '[')
		for i, line := range w.Lines {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(append(b, `{"productId":`...), line.ProductID)
			b = strconv.AppendInt(append(b, `,"quantity":`...), int64(line.Quantity), 10)
			b = append(appendNamed(b, `,"locationId":`, line.LocationID), '}')
		}
		b = append(b, ']')
	}
	b = appendCount(b, `,"ttl":`, int64(w.TTL))
	b = appendNamed(b, `,"channel":`, w.Channel)
	if w.AllowPartial {
		b = append(b, `,"allowPartial":true`...)
	}
	return append(appendNamed(b, `,"ownerRef":`, w.OwnerRef), '}')
}

// AppendLines appends a reservation's lines.
func (j JSON) AppendLines(b []byte, lines []models.ReservationLine) []byte {
	if j.Std {
		return appendStdJSON(b, lines)
	}
	if lines == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i := range lines {
		line := &lines[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"productId":`...), line.ProductID)
		b = strconv.AppendInt(append(b, `,"requested":`...), int64(line.Requested), 10)
		b = strconv.AppendInt(append(b, `,"quantity":`...), int64(line.Quantity), 10)
		b = appendCount(b, `,"fulfilled":`, int64(line.Fulfilled))
		b = appendCount(b, `,"cancelled":`, int64(line.Cancelled))
		for i, a := range line.Allocations {
			if i == 0 {
				b = append(b, `,"allocations":[`...)
			} else {
				b = append(b, ',')
			}
			b = appendText(append(b, `{"locationId":`...), a.LocationID)
			b = strconv.AppendInt(append(b, `,"quantity":`...), int64(a.Quantity), 10)
			b = append(appendCount(b, `,"done":`, int64(a.Done)), '}')
		}
		if len(line.Allocations) > 0 {
			b = append(b, ']')
		}
		if len(line.Pinned) > 0 {
			b = appendStdJSON(append(b, `,"pinned":`...), line.Pinned)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendStdJSON appends what encoding/json writes.
func appendStdJSON(b []byte, v any) []byte {
	raw, _ := json.Marshal(v) // plain structs; cannot fail
	return append(b, raw...)
}

// appendCount leaves zero out, and appendNamed an empty text.
func appendCount(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), n, 10)
}

func appendNamed(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendText(append(b, name...), s)
}

// appendText appends a JSON string. It leaves texts with escapes to encoding/json.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			raw, _ := json.Marshal(s) // a string; cannot fail
			return append(b, raw...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
