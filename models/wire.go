package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// Stock travels between processes as JSON: whole as the payload of a change
// message, and its levels as one field of the cached hash. The names are those
// of the hash, so that whoever reads one can read the other.
const (
	// StockWireBytesMax is the longest encoded stock we will read. A level takes
	// about 100 bytes, so this is room for some ten thousand of them.
	StockWireBytesMax = 1 << 20
	// LevelsMax is how many levels one encoded stock may have. It is far above
	// any number of places one product lies in, and bounds what garbage can
	// make us allocate.
	LevelsMax = 5000
	// VersionMax is the largest version: 2^53 - 1, the last whole number that
	// JSON readers and Redis scripts, which count in floating point, tell from
	// its neighbour.
	VersionMax = 1<<53 - 1
)

// wireStock is the encoded form. Pointers tell an absent field from a zero.
type wireStock struct {
	ProductID         *string         `json:"product_id"`
	Version           *int64          `json:"version"`
	Epoch             *string         `json:"epoch"`
	Title             *string         `json:"title"`
	Tracked           *bool           `json:"tracked"`
	InventoryPolicy   InventoryPolicy `json:"inventory_policy"`
	BackorderLimit    *int            `json:"backorder_limit"`
	LowStockThreshold int             `json:"low_stock_threshold"`
	MaxPerReservation *int            `json:"max_per_reservation"`
	NextRestockAt     *time.Time      `json:"next_restock_at"`
	AsOf              *time.Time      `json:"as_of"`
	Levels            json.RawMessage `json:"levels"`
}

// wireLevel leaves out the states that are zero, which most are.
type wireLevel struct {
	LocationID     string `json:"location_id"`
	Active         *bool  `json:"active"`
	Priority       int    `json:"priority"`
	Available      int    `json:"available"`
	Reserved       int    `json:"reserved"`
	Committed      int    `json:"committed"`
	Damaged        int    `json:"damaged"`
	QualityControl int    `json:"quality_control"`
	SafetyStock    int    `json:"safety_stock"`
	Incoming       int    `json:"incoming"`
}

// EncodeStock gives the JSON form of a stock. Source is left out: it says where
// one reader read, not what the stock is. It cannot fail; a stock beyond the
// limits of this package encodes to something DecodeStock refuses.
func EncodeStock(s *Stock) []byte {
	b := make([]byte, 0, 256+128*len(s.Levels))
	b = appendText(b, `{"product_id":`, s.ProductID)
	b = appendNumber(b, `,"quantity":`, int64(s.Quantity()))
	b = appendNumber(b, `,"version":`, s.Version)
	b = appendText(b, `,"epoch":`, s.Epoch)
	if s.Title != nil {
		b = appendText(b, `,"title":`, *s.Title)
	}
	b = strconv.AppendBool(append(b, `,"tracked":`...), s.Tracked)
	b = appendText(b, `,"inventory_policy":`, string(s.InventoryPolicy))
	if s.BackorderLimit != nil {
		b = appendNumber(b, `,"backorder_limit":`, int64(*s.BackorderLimit))
	}
	b = appendNumber(b, `,"low_stock_threshold":`, int64(s.LowStockThreshold))
	if s.MaxPerReservation != nil {
		b = appendNumber(b, `,"max_per_reservation":`, int64(*s.MaxPerReservation))
	}
	if s.NextRestockAt != nil {
		b = appendText(b, `,"next_restock_at":`, WireTime(*s.NextRestockAt))
	}
	b = appendText(b, `,"as_of":`, WireTime(s.AsOf))
	b = appendLevels(append(b, `,"levels":`...), s.Levels)
	return append(b, '}')
}

// DecodeStock reads what EncodeStock wrote. It is strict about shape and
// limits and never panics; fields it does not know are passed over, so that
// two releases of Onhand can run side by side.
func DecodeStock(b []byte) (*Stock, error) {
	if len(b) > StockWireBytesMax {
		return nil, fmt.Errorf("decode stock: %d bytes, more than %d", len(b), StockWireBytesMax)
	}
	var w wireStock
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fmt.Errorf("decode stock: %w", err)
	}
	if w.ProductID == nil || w.Version == nil || w.Epoch == nil || w.Tracked == nil || w.AsOf == nil || w.Levels == nil {
		return nil, errors.New("decode stock: a required field is missing")
	}
	s := &Stock{
		Product: Product{
			ProductID: *w.ProductID, Title: w.Title, Tracked: *w.Tracked,
			InventoryPolicy: w.InventoryPolicy, BackorderLimit: w.BackorderLimit,
			LowStockThreshold: w.LowStockThreshold, MaxPerReservation: w.MaxPerReservation,
			NextRestockAt: utc(w.NextRestockAt), Version: *w.Version,
		},
		Epoch: *w.Epoch,
		AsOf:  w.AsOf.UTC(),
	}
	var err error
	if s.Levels, err = DecodeLevels(s.ProductID, w.Levels); err != nil {
		return nil, fmt.Errorf("decode stock: %w", err)
	}
	if err := s.CheckWire(); err != nil {
		return nil, fmt.Errorf("decode stock: %w", err)
	}
	return s, nil
}

// EncodeLevels gives the JSON form of levels: an array of objects.
func EncodeLevels(levels []Level) []byte {
	return appendLevels(make([]byte, 0, 16+128*len(levels)), levels)
}

// DecodeLevels reads what EncodeLevels wrote, as levels of the product.
func DecodeLevels(productID string, b []byte) ([]Level, error) {
	if len(b) > StockWireBytesMax {
		return nil, fmt.Errorf("decode levels: %d bytes, more than %d", len(b), StockWireBytesMax)
	}
	levels, ok := scanLevels(b)
	if !ok {
		var err error
		if levels, err = parseLevels(b); err != nil {
			return nil, fmt.Errorf("decode levels: %w", err)
		}
	}
	for i := range levels {
		levels[i].ProductID = productID
		if !idFits(levels[i].LocationID) {
			return nil, fmt.Errorf("decode levels: level %d: bad location id", i)
		}
		if err := levels[i].Check(-QuantityMax); err != nil {
			return nil, fmt.Errorf("decode levels: level %d: %w", i, err)
		}
	}
	return levels, nil
}

// CheckWire reports the first field that no stock of ours can have. Levels are
// checked as they are decoded.
func (s *Stock) CheckWire() error {
	switch {
	case !idFits(s.ProductID):
		return errors.New("bad product id")
	case s.Epoch == "" || len(s.Epoch) > TextLengthMax:
		return errors.New("bad epoch")
	case s.Version < 0 || s.Version > VersionMax:
		return fmt.Errorf("version %d is out of range", s.Version)
	case s.InventoryPolicy != Deny && s.InventoryPolicy != Continue:
		return fmt.Errorf("no inventory policy: %.20q", s.InventoryPolicy)
	case !within(&s.LowStockThreshold, 0), !within(s.BackorderLimit, 0), !within(s.MaxPerReservation, 1):
		return errors.New("a setting is out of range")
	case s.Title != nil && !utf8.ValidString(*s.Title):
		return errors.New("the title is no UTF-8")
	case !timeFits(s.AsOf), s.NextRestockAt != nil && !timeFits(*s.NextRestockAt):
		return errors.New("a time is out of range")
	}
	return nil
}

// WireTime is how times are written: RFC 3339 in UTC.
func WireTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// parseLevels reads levels however they are written.
func parseLevels(b []byte) ([]Level, error) {
	var wire *[]wireLevel
	if err := json.Unmarshal(b, &wire); err != nil {
		return nil, err
	}
	if wire == nil {
		return nil, errors.New("null")
	}
	if len(*wire) > LevelsMax {
		return nil, fmt.Errorf("%d levels, more than %d", len(*wire), LevelsMax)
	}
	levels := make([]Level, len(*wire))
	for i, w := range *wire {
		if w.Active == nil {
			return nil, fmt.Errorf("level %d does not say whether it is active", i)
		}
		levels[i] = Level{
			LocationID: w.LocationID, Active: *w.Active, Priority: w.Priority,
			Quantities: Quantities{
				Available: w.Available, Reserved: w.Reserved, Committed: w.Committed, Damaged: w.Damaged,
				QualityControl: w.QualityControl, SafetyStock: w.SafetyStock, Incoming: w.Incoming,
			},
		}
	}
	return levels, nil
}

// scanLevels reads levels written exactly as appendLevels writes them and
// gives up on anything else, which then goes to parseLevels. It is
// here because a product page reads hundreds of levels, and reflection would take
// most of the time.
func scanLevels(b []byte) (levels []Level, ok bool) {
	s := scanner{rest: b, ok: true}
	s.want("[")
	levels = make([]Level, 0, min(LevelsMax, bytes.Count(b, []byte("{"))))
	for s.ok && !s.skip("]") {
		if len(levels) == LevelsMax {
			return nil, false
		}
		if len(levels) > 0 {
			s.want(",")
		}
		var l Level
		s.want(`{"location_id":"`)
		l.LocationID = s.text()
		s.want(`,"active":`)
		if l.Active = s.skip("true"); !l.Active {
			s.want("false")
		}
		s.number(`,"priority":`, &l.Priority)
		s.number(`,"available":`, &l.Available)
		s.number(`,"reserved":`, &l.Reserved)
		s.number(`,"committed":`, &l.Committed)
		s.number(`,"damaged":`, &l.Damaged)
		s.number(`,"quality_control":`, &l.QualityControl)
		s.number(`,"safety_stock":`, &l.SafetyStock)
		s.number(`,"incoming":`, &l.Incoming)
		s.want("}")
		levels = append(levels, l)
	}
	return levels, s.ok && len(s.rest) == 0
}

// scanner reads literal text; once something does not fit, ok stays false.
type scanner struct {
	rest []byte
	ok   bool
}

// skip passes over literal and tells whether it was there.
func (s *scanner) skip(literal string) bool {
	if len(s.rest) < len(literal) || string(s.rest[:len(literal)]) != literal {
		return false
	}
	s.rest = s.rest[len(literal):]
	return true
}

func (s *scanner) want(literal string) { s.ok = s.skip(literal) && s.ok }

// text reads up to the closing quote; text without escapes only.
func (s *scanner) text() string {
	for i, c := range s.rest {
		if c == '"' && utf8.Valid(s.rest[:i]) {
			t := string(s.rest[:i])
			s.rest = s.rest[i+1:]
			return t
		}
		if c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	s.ok = false
	return ""
}

// numberDigitsMax is how many digits a quantity or priority may have here:
// too few to overflow.
const numberDigitsMax = 10

// number reads an optional field with a whole number as strconv writes it.
func (s *scanner) number(name string, to *int) {
	if !s.skip(name) {
		return
	}
	sign := 1
	if s.skip("-") {
		sign = -1
	}
	n, digits := 0, 0
	for digits < len(s.rest) && digits < numberDigitsMax && s.rest[digits] >= '0' && s.rest[digits] <= '9' {
		n = 10*n + int(s.rest[digits]-'0')
		digits++
	}
	// A leading zero is no JSON, and a zero we would have left out.
	s.ok = s.ok && digits > 0 && s.rest[0] != '0'
	s.rest = s.rest[digits:]
	*to = sign * n
}

func appendLevels(b []byte, levels []Level) []byte {
	b = append(b, '[')
	for i, l := range levels {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, `{"location_id":`, l.LocationID)
		b = strconv.AppendBool(append(b, `,"active":`...), l.Active)
		b = appendState(b, `,"priority":`, l.Priority)
		b = appendState(b, `,"available":`, l.Available)
		b = appendState(b, `,"reserved":`, l.Reserved)
		b = appendState(b, `,"committed":`, l.Committed)
		b = appendState(b, `,"damaged":`, l.Damaged)
		b = appendState(b, `,"quality_control":`, l.QualityControl)
		b = appendState(b, `,"safety_stock":`, l.SafetyStock)
		b = appendState(b, `,"incoming":`, l.Incoming)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendState(b []byte, name string, n int) []byte {
	if n == 0 {
		return b
	}
	return appendNumber(b, name, int64(n))
}

func appendNumber(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(b, name...), n, 10)
}

// appendText quotes text by hand where nothing needs escaping, which is nearly
// always; encoding/json does the rest.
func appendText(b []byte, name, text string) []byte {
	b = append(b, name...)
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil {
				return append(b, `""`...) // json.Marshal of a string has no way to fail
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

func idFits(id string) bool {
	return id != "" && len(id) <= utf8.UTFMax*IDLengthMax && utf8.RuneCountInString(id) <= IDLengthMax
}

// within tells whether a setting is what the tables' own checks let through;
// one that is left out is.
func within(n *int, low int) bool { return n == nil || *n >= low && *n <= QuantityMax }

// timeFits tells whether RFC 3339 can write the time, in UTC.
func timeFits(t time.Time) bool { return t.UTC().Year() >= 0 && t.UTC().Year() <= 9999 }

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
