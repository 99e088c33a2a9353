package nearcache

import "sync/atomic"

// dropReason is why entries were dropped.
type dropReason int

const (
	dropEvicted      dropReason = iota // for room
	dropDisconnected                   // the feed was lost
	dropEpoch                          // the entry or the message is of another epoch
	dropBypass                         // all products bypass the cache
	dropUnpublished                    // Redis missed a commit
	dropPoison                         // the row cannot be read
	dropUnreadable                     // the message is not the product's stock
	dropReasons
)

// dropNames are the reasons as metrics name them.
var dropNames = [dropReasons]string{"evicted", "disconnected", "epoch", "bypass", "unpublished", "poison", "unreadable"}

// nearCounters count events since NewNearCache.
type nearCounters struct {
	hits, misses, fills atomic.Int64
	drops               [dropReasons]atomic.Int64
}

// NearCacheStats are the numbers of a near cache, for metrics.
type NearCacheStats struct {
	// Hits and Misses count the products that reads found here, and did not find, while
	// the feed was confirmed. Fills counts the entries that reads made.
	Hits, Misses, Fills int64
	// Drops counts the entries that were dropped, by reason.
	Drops map[string]int64
	// Entries and Bytes are what is here now.
	Entries, Bytes int64
	// Connections and Messages count those of the feed.
	Connections, Messages int64
	// Fresh reports whether entries may be served now.
	Fresh bool
}

// DropReasons lists the reasons of NearCacheStats.Drops.
func DropReasons() []string { return dropNames[:] }

// Stats returns the numbers. Those of a near cache that is off are zero.
func (c *NearCache) Stats() NearCacheStats {
	stats := NearCacheStats{
		Hits: c.counters.hits.Load(), Misses: c.counters.misses.Load(), Fills: c.counters.fills.Load(),
		Drops: make(map[string]int64, dropReasons),
	}
	for reason, name := range dropNames {
		stats.Drops[name] = c.counters.drops[reason].Load()
	}
	if c.entries != nil {
		stats.Entries, stats.Bytes = int64(c.entries.EstimatedSize()), int64(c.entries.WeightedSize())
		stats.Connections, stats.Messages = c.feed.connections.Load(), c.feed.messages.Load()
		stats.Fresh = c.generation.Load() != nil && c.feed.fresh(c.clock())
	}
	return stats
}
