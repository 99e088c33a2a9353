package stockbinary

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"time"

	"onhand/models"
)

const (
	// BytesMax is the longest compact form that is decoded. A level takes about 20
	// bytes, so that LevelsMax of them fit.
	BytesMax = 1 << 20
	// LevelsMax is how many levels one encoded stock may have. No product is at so
	// many locations. The bound limits what invalid input can make decoding allocate.
	LevelsMax = 5000
	// format is the first byte of the compact form.
	format = 1
	// checksumBytes end the compact form.
	checksumBytes = 4
	// levelBytesMin is the shortest level: length and one byte of the location,
	// quantities, priority.
	levelBytesMin = 4
)

// Fields are the fields of a product's hash that hold its stock.
type Fields struct {
	ProductID, Quantity, Version, Epoch string
	// Stock is the compact form.
	Stock string
}

// Bits of the second byte: the settings, and which optional fields follow.
const (
	flagTracked = 1 << iota
	flagContinue
	flagTitle
	flagBackorderLimit
	flagMaxPerReservation
	flagNextRestockAt
	flagBuffers
	flagOwnerLimit
)

// Encode returns the fields of a stock. They leave out Source, which says where one
// reader read, not what the stock is. Decoding refuses a stock that is beyond this
// package's limits.
//
// The compact form is: the format; the flags; the low stock threshold; the time of
// the read; those of title, backorder limit, maximum per reservation, time of restock,
// buffers, and maximum per owner with its period (0 for none) that the flags name; the number of levels; the levels; the checksum.
// A number is a varint, zigzag where it can be negative. A text has its length in
// front. A time is seconds since 1970, then nanoseconds. A level is its location, one
// byte with a bit for active and for each quantity that is not zero, its priority,
// and those quantities.
func Encode(s *models.Stock) Fields {
	f := Fields{ProductID: s.ProductID, Quantity: strconv.Itoa(s.Quantity()), Version: strconv.FormatInt(s.Version, 10), Epoch: s.Epoch}
	b := appendSettings(make([]byte, 0, 128+32*len(s.Levels)), s)
	b = binary.AppendUvarint(b, uint64(len(s.Levels)))
	for i := range s.Levels {
		b = appendLevel(b, &s.Levels[i])
	}
	f.Stock = string(binary.LittleEndian.AppendUint32(b, checksum(f, b)))
	return f
}

// Equal reports whether two stocks have the same fields.
func Equal(a, b *models.Stock) bool { return Encode(a) == Encode(b) }

func appendSettings(b []byte, s *models.Stock) []byte {
	flags := 0
	set := func(flag int, given bool) {
		if given {
			flags |= flag
		}
	}
	set(flagTracked, s.Tracked)
	set(flagContinue, s.InventoryPolicy == models.Continue)
	set(flagTitle, s.Title != nil)
	set(flagBackorderLimit, s.BackorderLimit != nil)
	set(flagMaxPerReservation, s.MaxPerReservation != nil)
	set(flagNextRestockAt, s.NextRestockAt != nil)
	set(flagBuffers, len(s.Buffers) > 0)
	set(flagOwnerLimit, s.MaxPerOwner != nil || s.OwnerPeriod != nil)
	b = append(b, format, byte(flags))
	b = binary.AppendVarint(b, int64(s.LowStockThreshold))
	b = appendTime(b, s.AsOf)
	if s.Title != nil {
		b = appendText(b, *s.Title)
	}
	if s.BackorderLimit != nil {
		b = binary.AppendVarint(b, int64(*s.BackorderLimit))
	}
	if s.MaxPerReservation != nil {
		b = binary.AppendVarint(b, int64(*s.MaxPerReservation))
	}
	if s.NextRestockAt != nil {
		b = appendTime(b, *s.NextRestockAt)
	}
	if len(s.Buffers) > 0 {
		b = binary.AppendUvarint(b, uint64(len(s.Buffers)))
		for _, buffer := range s.Buffers.List() {
			b = binary.AppendVarint(appendText(b, buffer.ChannelID), int64(buffer.Buffer))
		}
	}
	if flags&flagOwnerLimit != 0 {
		for _, n := range []*int{s.MaxPerOwner, s.OwnerPeriod} {
			if n == nil {
				n = new(int)
			}
			b = binary.AppendVarint(b, int64(*n))
		}
	}
	return b
}

func appendLevel(b []byte, l *models.Level) []byte {
	b = appendText(b, l.LocationID)
	at := len(b)
	b = append(b, 0)
	bits := byte(0)
	if l.Active {
		bits = 1
	}
	b = binary.AppendVarint(b, int64(l.Priority))
	for i, n := range quantities(&l.Quantities) {
		if *n != 0 {
			bits |= 2 << i
			b = binary.AppendVarint(b, int64(*n))
		}
	}
	b[at] = bits
	return b
}

// quantities are the states of a level in the order in which they are encoded.
func quantities(q *models.Quantities) [7]*int {
	return [...]*int{&q.Available, &q.Reserved, &q.Committed, &q.Damaged, &q.QualityControl, &q.SafetyStock, &q.Incoming}
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(b, t.Unix()), uint64(t.Nanosecond()))
}

var checksumTable = crc32.MakeTable(crc32.Castagnoli)

// checksum covers b and the visible fields, which are put behind b in its own memory.
func checksum(f Fields, b []byte) uint32 {
	for _, text := range [...]string{f.ProductID, f.Quantity, f.Version, f.Epoch} {
		b = appendText(b, text)
	}
	return crc32.Checksum(b, checksumTable)
}

// Decoder decodes stocks one after the other. The zero Decoder is ready. It is not
// safe for concurrent use.
type Decoder struct{ scratch []byte }

var (
	errFormat   = errors.New("decode stock: not a stock in the known format")
	errChecksum = errors.New("decode stock: the checksum is wrong, because another program has changed a field")
	errCutShort = errors.New("decode stock: cut short")
)

// Decode reads what Encode wrote. Texts of the stock share the memory of the fields.
func (d *Decoder) Decode(f Fields) (*models.Stock, error) {
	body := len(f.Stock) - checksumBytes
	switch {
	case len(f.Stock) > BytesMax:
		return nil, fmt.Errorf("decode stock: %d bytes, more than %d", len(f.Stock), BytesMax)
	case body < 1 || f.Stock[0] != format:
		return nil, errFormat
	}
	room := len(f.Stock) + len(f.ProductID) + len(f.Quantity) + len(f.Version) + len(f.Epoch) + 4*binary.MaxVarintLen64
	d.scratch = append(slices.Grow(d.scratch[:0], room), f.Stock...)
	want := binary.LittleEndian.Uint32(d.scratch[body:])
	if checksum(f, d.scratch[:body]) != want {
		return nil, errChecksum
	}
	version, err := strconv.ParseInt(f.Version, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("decode stock: version: %w", err)
	}
	s := &models.Stock{Product: models.Product{ProductID: f.ProductID, Version: version}, Epoch: f.Epoch}
	r := reader{rest: f.Stock[1:body], ok: true}
	r.settings(s)
	s.Levels = r.levels(f.ProductID)
	if !r.ok || r.rest != "" {
		return nil, errCutShort
	}
	if err := check(s); err != nil {
		return nil, fmt.Errorf("decode stock: %w", err)
	}
	return s, nil
}
