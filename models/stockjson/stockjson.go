package stockjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"onhand/models"
	"onhand/models/channel"
)

const (
	// BytesMax is the longest encoding that is decoded. A level takes about 100
	// bytes, so some ten thousand levels fit.
	BytesMax = 1 << 20
	// LevelsMax is how many levels one encoded stock may have. No product is at so
	// many locations. The bound limits what invalid input can make Decode allocate.
	LevelsMax = 5000
)

// stockObject is the encoded form. A pointer tells a missing field from a zero.
type stockObject struct {
	ProductID         *string                `json:"product_id"`
	Version           *int64                 `json:"version"`
	Epoch             *string                `json:"epoch"`
	Title             *string                `json:"title"`
	Tracked           *bool                  `json:"tracked"`
	InventoryPolicy   models.InventoryPolicy `json:"inventory_policy"`
	BackorderLimit    *int                   `json:"backorder_limit"`
	LowStockThreshold int                    `json:"low_stock_threshold"`
	MaxPerReservation *int                   `json:"max_per_reservation"`
	NextRestockAt     *time.Time             `json:"next_restock_at"`
	ChannelBuffers    channel.Buffers        `json:"channel_buffers"`
	AsOf              *time.Time             `json:"as_of"`
	Levels            json.RawMessage        `json:"levels"`
}

// Encode returns the JSON form of a stock. It leaves out Source, which says where
// one reader read, not what the stock is. Decode refuses the encoding of a stock
// that is beyond this package's limits.
func Encode(s *models.Stock) []byte {
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
		b = appendText(b, `,"next_restock_at":`, FormatTime(*s.NextRestockAt))
	}
	if buffers := s.Buffers.Encode(); buffers != nil {
		b = append(append(b, `,"channel_buffers":`...), *buffers...)
	}
	b = appendText(b, `,"as_of":`, FormatTime(s.AsOf))
	b = appendLevels(append(b, `,"levels":`...), s.Levels)
	return append(b, '}')
}

// Decode reads what Encode wrote.
func Decode(b []byte) (*models.Stock, error) {
	if len(b) > BytesMax {
		return nil, fmt.Errorf("decode stock: %d bytes, more than %d", len(b), BytesMax)
	}
	var o stockObject
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, fmt.Errorf("decode stock: %w", err)
	}
	if o.ProductID == nil || o.Version == nil || o.Epoch == nil || o.Tracked == nil || o.AsOf == nil || o.Levels == nil {
		return nil, errors.New("decode stock: a required field is missing")
	}
	s := &models.Stock{
		Product: models.Product{
			ProductID: *o.ProductID, Title: o.Title, Tracked: *o.Tracked,
			InventoryPolicy: o.InventoryPolicy, BackorderLimit: o.BackorderLimit,
			LowStockThreshold: o.LowStockThreshold, MaxPerReservation: o.MaxPerReservation,
			NextRestockAt: utc(o.NextRestockAt), Buffers: o.ChannelBuffers, Version: *o.Version,
		},
		Epoch: *o.Epoch,
		AsOf:  o.AsOf.UTC(),
	}
	if len(s.Buffers) == 0 {
		s.Buffers = nil
	}
	var err error
	if s.Levels, err = DecodeLevels(s.ProductID, o.Levels); err != nil {
		return nil, fmt.Errorf("decode stock: %w", err)
	}
	if err := Check(s); err != nil {
		return nil, fmt.Errorf("decode stock: %w", err)
	}
	return s, nil
}

// Check reports the first field with a value that Onhand never writes. Levels are
// checked while they are decoded.
func Check(s *models.Stock) error {
	switch {
	case !idFits(s.ProductID):
		return errors.New("bad product id")
	case s.Epoch == "" || len(s.Epoch) > models.TextLengthMax:
		return errors.New("bad epoch")
	case s.Version < 0 || s.Version > channel.ProductVersionMax:
		return fmt.Errorf("version %d is out of range", s.Version)
	case s.InventoryPolicy != models.Deny && s.InventoryPolicy != models.Continue:
		return fmt.Errorf("unknown inventory policy: %.20q", s.InventoryPolicy)
	case !within(&s.LowStockThreshold, 0), !within(s.BackorderLimit, 0), !within(s.MaxPerReservation, 1):
		return errors.New("a setting is out of range")
	case s.Buffers.Check() != nil:
		return s.Buffers.Check()
	case s.Title != nil && !utf8.ValidString(*s.Title):
		return errors.New("the title is not valid UTF-8")
	case !timeFits(s.AsOf), s.NextRestockAt != nil && !timeFits(*s.NextRestockAt):
		return errors.New("a time is out of range")
	}
	return nil
}

// FormatTime writes a time as the encoding does: RFC 3339 in UTC.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func idFits(id string) bool {
	return id != "" && len(id) <= utf8.UTFMax*models.IDLengthMax && utf8.RuneCountInString(id) <= models.IDLengthMax
}

// within reports whether the tables' CHECK constraints allow a setting; nil is
// always allowed.
func within(n *int, low int) bool { return n == nil || *n >= low && *n <= models.QuantityMax }

// timeFits reports whether RFC 3339 can write the time in UTC.
func timeFits(t time.Time) bool { return t.UTC().Year() >= 0 && t.UTC().Year() <= 9999 }

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
