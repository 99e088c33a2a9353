package models

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// CheckID tells what is wrong with a product, location or channel id; empty
// when nothing is.
func CheckID(id string) string {
	switch {
	case id == "":
		return "must not be empty"
	case len(id) > IDLengthMax && utf8.RuneCountInString(id) > IDLengthMax:
		return "must not be longer than " + strconv.Itoa(IDLengthMax) + " characters"
	}
	return checkText(id)
}

// checkText refuses what no database column can hold or no log should print.
func checkText(s string) string {
	if !utf8.ValidString(s) {
		return "must be valid UTF-8"
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "must not contain control characters"
	}
	return ""
}

// checker collects what is wrong with an input.
type checker struct{ errs []UserError }

func (c *checker) add(problem string, path ...any) {
	if problem == "" {
		return
	}
	full := InputPath(path...)
	c.errs = append(c.errs, Invalid(full, "%s %s", full[len(full)-1], problem))
}

func (c *checker) text(s string, limit int, path ...any) {
	if len(s) > limit && utf8.RuneCountInString(s) > limit {
		c.add("must not be longer than "+strconv.Itoa(limit)+" characters", path...)
		return
	}
	c.add(checkText(s), path...)
}

func (c *checker) key(key string) {
	if strings.TrimSpace(key) == "" {
		c.add("must not be empty", "idempotencyKey")
		return
	}
	c.text(key, IdempotencyKeyLengthMax, "idempotencyKey")
}

func (c *checker) ttl(ttl, limit time.Duration) {
	if ttl < ReservationTTLMin || ttl > limit {
		c.add("must be between "+seconds(ReservationTTLMin)+" and "+seconds(limit), "ttlSeconds")
	}
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

func (c *checker) lines(lines []Line) {
	if len(lines) == 0 || len(lines) > ReservationLinesMax {
		c.add("must have 1 to "+strconv.Itoa(ReservationLinesMax)+" entries", "lines")
		return
	}
	for i, l := range lines {
		c.add(CheckID(l.ProductID), "lines", i, "productId")
		if l.LocationID != "" {
			c.add(CheckID(l.LocationID), "lines", i, "locationId")
		}
		if l.Quantity < 1 || l.Quantity > QuantityMax {
			c.add("must be between 1 and "+strconv.Itoa(QuantityMax), "lines", i, "quantity")
		}
	}
}

func (c *checker) parts(parts []LinePart) {
	if len(parts) == 0 || len(parts) > ReservationLinesMax {
		c.add("must have 1 to "+strconv.Itoa(ReservationLinesMax)+" entries, or be left out", "lines")
		return
	}
	for i, part := range parts {
		c.add(CheckID(part.ProductID), "lines", i, "productId")
		if part.Quantity < 1 || part.Quantity > QuantityMax {
			c.add("must be between 1 and "+strconv.Itoa(QuantityMax), "lines", i, "quantity")
		}
	}
}

// Check implements Write.
func (w Reserve) Check(ttlMax time.Duration) []UserError {
	var c checker
	c.key(w.IdempotencyKey)
	c.lines(w.Lines)
	c.ttl(w.ReservationTTL(), ttlMax)
	if w.Channel != "" {
		c.add(CheckID(w.Channel), "channel")
	}
	c.text(w.OwnerRef, TextLengthMax, "ownerRef")
	return c.errs
}

// Check implements Write.
func (w UpdateReservation) Check(ttlMax time.Duration) []UserError {
	var c checker
	c.key(w.IdempotencyKey)
	c.lines(w.Lines)
	if w.TTL != 0 {
		c.ttl(w.TTL, ttlMax)
	}
	return c.errs
}

// Check implements Write.
func (w ExtendReservation) Check(ttlMax time.Duration) []UserError {
	var c checker
	c.ttl(w.ReservationTTL(), ttlMax)
	return c.errs
}

// Check implements Write.
func (w Resolve) Check(time.Duration) []UserError {
	var c checker
	if w.To != ReservationReleased && w.To != ReservationExpired {
		c.key(w.IdempotencyKey)
	}
	c.text(w.OrderRef, TextLengthMax, "orderRef")
	if w.Lines != nil {
		c.parts(w.Lines)
	}
	return c.errs
}

// InputPath makes the path of a UserError: InputPath("lines", 2, "quantity").
func InputPath(parts ...any) []string {
	path := []string{"input"}
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			path = append(path, p)
		case int:
			path = append(path, strconv.Itoa(p))
		}
	}
	return path
}
