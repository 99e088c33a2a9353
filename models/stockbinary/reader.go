package stockbinary

import (
	"time"

	"onhand/models"
	"onhand/models/channel"
)

// reader reads the compact form. Once something does not fit, ok stays false and all
// that is read is zero.
type reader struct {
	rest string
	ok   bool
}

func (r *reader) fail() {
	r.rest, r.ok = "", false
}

func (r *reader) settings(s *models.Stock) {
	flags := int(r.byte())
	s.Tracked = flags&flagTracked != 0
	s.InventoryPolicy = models.Deny
	if flags&flagContinue != 0 {
		s.InventoryPolicy = models.Continue
	}
	s.LowStockThreshold = r.number()
	s.AsOf = r.time()
	if flags&flagTitle != 0 {
		title := r.text()
		s.Title = &title
	}
	if flags&flagBackorderLimit != 0 {
		limit := r.number()
		s.BackorderLimit = &limit
	}
	if flags&flagMaxPerReservation != 0 {
		most := r.number()
		s.MaxPerReservation = &most
	}
	if flags&flagNextRestockAt != 0 {
		at := r.time()
		s.NextRestockAt = &at
	}
	if flags&flagBuffers != 0 {
		s.Buffers = r.buffers()
	}
	if flags&flagOwnerLimit != 0 {
		r.ownerLimit(s)
	}
}

// ownerLimit reads a limit, its period, or both.
func (r *reader) ownerLimit(s *models.Stock) {
	for _, to := range []**int{&s.MaxPerOwner, &s.OwnerPeriod} {
		if n := r.number(); n != 0 {
			*to = &n
		}
	}
	if s.MaxPerOwner == nil && s.OwnerPeriod == nil {
		r.fail()
	}
}

// buffers reads at least one buffer. They are in the order of their channels.
func (r *reader) buffers() channel.Buffers {
	n := r.count(channel.BuffersMax)
	buffers, last := make(channel.Buffers, n), ""
	for range n {
		id := r.text()
		if id <= last {
			r.fail()
			return nil
		}
		buffers[id], last = r.number(), id
	}
	if n == 0 {
		r.fail()
	}
	return buffers
}

func (r *reader) levels(productID string) []models.Level {
	n := r.count(min(LevelsMax, len(r.rest)/levelBytesMin))
	levels := make([]models.Level, n)
	for i := range levels {
		l := &levels[i]
		l.ProductID, l.LocationID = productID, r.text()
		bits := r.byte()
		l.Active = bits&1 != 0
		l.Priority = r.number()
		for j, to := range quantities(&l.Quantities) {
			if bits&(2<<j) == 0 {
				continue
			}
			if *to = r.number(); *to == 0 {
				r.fail()
			}
		}
	}
	return levels
}

func (r *reader) byte() byte {
	if r.rest == "" {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// uvarint reads an unsigned varint in its shortest form.
func (r *reader) uvarint() uint64 {
	n := uint64(0)
	for i := 0; i < len(r.rest); i++ {
		b := r.rest[i]
		if b < 0x80 {
			if i == 9 && b > 1 || i > 0 && b == 0 { // beyond 64 bits; not the shortest form
				break
			}
			r.rest = r.rest[i+1:]
			return n | uint64(b)<<(7*i)
		}
		if i == 9 {
			break
		}
		n |= uint64(b&0x7f) << (7 * i)
	}
	r.fail()
	return 0
}

func (r *reader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) number() int { return int(r.varint()) }

// count reads how many entries follow, at most most.
func (r *reader) count(most int) int {
	n := r.uvarint()
	if n > uint64(most) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return ""
	}
	text := r.rest[:n]
	r.rest = r.rest[n:]
	return text
}

// The seconds of the years 0 to 9999, which RFC 3339 can write.
const (
	secondsMin = -62_167_219_200
	secondsMax = 253_402_300_799
)

func (r *reader) time() time.Time {
	seconds, nanoseconds := r.varint(), r.uvarint()
	if seconds < secondsMin || seconds > secondsMax || nanoseconds >= uint64(time.Second) {
		r.fail()
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC()
}
