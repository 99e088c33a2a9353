package nearcache

import (
	"math"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"onhand/models"
)

const (
	// entryOverhead is what the cache library needs for an entry: a node, a slot of the
	// table with its free neighbours, and a counter of reads.
	entryOverhead = 280
	// bufferOverhead is what a map needs for one buffer, without the text of its key.
	bufferOverhead = 64
	// sizeClassSlack is by what part an allocation may exceed what was asked for: the
	// classes of the allocator are at most a sixth apart.
	sizeClassSlack = 6
)

// nearEntry is one product in the cache.
type nearEntry struct {
	generation *generation
	stock      atomic.Pointer[models.Stock]
	weight     uint32
	until      int64 // on the monotonic clock; then it is read again
}

// newNearEntry makes an entry of its own memory.
func newNearEntry(current *generation, stock *models.Stock, until int64) *nearEntry {
	e := &nearEntry{generation: current, until: until}
	kept, weight := owned(stock, nil, current.epoch)
	e.stock.Store(kept)
	e.weight = weight
	return e
}

// usable reports whether the entry may be served now, if the feed is fresh.
func (e *nearEntry) usable(current *generation, now instant) bool {
	return e.generation == current && now.monotonic < e.until
}

// ownedStock is a stock with the values that its pointers point to.
type ownedStock struct {
	models.Stock
	title                             string
	backorderLimit, maxPerReservation int
	maxPerOwner, ownerPeriod          int
	nextRestockAt                     time.Time
}

// owned copies a stock, so that it keeps no other memory alive, and weighs the copy.
// It takes texts from the stock before, where they are equal.
func owned(s, before *models.Stock, epoch string) (*models.Stock, uint32) {
	o := &ownedStock{Stock: *s}
	o.Source, o.Epoch, o.InventoryPolicy = models.FromNearCache, epoch, policyOf(s.InventoryPolicy)
	if s.BackorderLimit != nil {
		o.backorderLimit = *s.BackorderLimit
		o.BackorderLimit = &o.backorderLimit
	}
	if s.MaxPerReservation != nil {
		o.maxPerReservation = *s.MaxPerReservation
		o.MaxPerReservation = &o.maxPerReservation
	}
	if s.OwnerPeriod != nil {
		o.ownerPeriod = *s.OwnerPeriod
		o.OwnerPeriod = &o.ownerPeriod
	}
	if s.MaxPerOwner != nil {
		o.maxPerOwner = *s.MaxPerOwner
		o.MaxPerOwner = &o.maxPerOwner
	}
	if s.NextRestockAt != nil {
		o.nextRestockAt = *s.NextRestockAt
		o.NextRestockAt = &o.nextRestockAt
	}
	var title *string
	var levels []models.Level
	if before != nil {
		title, levels = before.Title, before.Levels
		o.ProductID = before.ProductID
	} else {
		o.ProductID = strings.Clone(s.ProductID)
	}
	if s.Title != nil {
		o.title = ownedText(*s.Title, title)
		o.Title = &o.title
	}
	o.Levels = ownedLevels(s.Levels, levels, o.ProductID)
	return &o.Stock, weigh(&o.Stock)
}

// policyOf returns one of the constants, so that the text of the answer is not kept.
func policyOf(policy models.InventoryPolicy) models.InventoryPolicy {
	switch policy {
	case models.Deny:
		return models.Deny
	case models.Continue:
		return models.Continue
	}
	return models.InventoryPolicy(strings.Clone(string(policy)))
}

func ownedText(text string, before *string) string {
	if before != nil && *before == text {
		return *before
	}
	return strings.Clone(text)
}

func ownedLevels(levels, before []models.Level, productID string) []models.Level {
	kept := make([]models.Level, len(levels))
	copy(kept, levels)
	for i := range kept {
		kept[i].ProductID = productID
		var same *string
		if i < len(before) {
			same = &before[i].LocationID
		}
		kept[i].LocationID = ownedText(kept[i].LocationID, same)
	}
	return kept
}

// weigh returns how many bytes an entry of this stock takes, at least.
func weigh(s *models.Stock) uint32 {
	bytes := int(unsafe.Sizeof(nearEntry{})) + rounded(int(unsafe.Sizeof(ownedStock{}))) +
		rounded(len(s.Levels)*int(unsafe.Sizeof(models.Level{}))) + text(s.ProductID)
	for i := range s.Levels {
		bytes += text(s.Levels[i].LocationID)
	}
	if s.Title != nil {
		bytes += text(*s.Title)
	}
	for channel := range s.Buffers {
		bytes += bufferOverhead + text(channel)
	}
	return uint32(min(entryOverhead+bytes, math.MaxUint32))
}

// text is what the allocation of a text takes: at least the smallest class.
func text(s string) int {
	if s == "" {
		return 0
	}
	return max(16, rounded(len(s)))
}

func rounded(bytes int) int { return bytes + bytes/sizeClassSlack }
