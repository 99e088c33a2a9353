package ratelimit

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"onhand/models/quota"
)

const (
	// BucketsMax bounds the buckets of an instance. One takes some 400 bytes.
	BucketsMax = 65_536
	// shardsMax is how many locks the buckets share.
	shardsMax = 64
)

// bucketKey names a bucket: a class and a caller. network is invalid for a subject, and
// for clients whose address is not known, which share a bucket.
type bucketKey struct {
	class   Class
	subject string
	network netip.Prefix
}

// bucket is what one caller has left of one quota.
type bucket struct {
	key   bucketKey
	quota quota.Quota

	// The shard's lock protects what follows.

	limiter *rate.Limiter
	unsent  int     // used since the last exchange
	waits   bool    // for the next exchange
	away    bool    // limiter fills at the share of this instance
	used    float64 // by all instances, at the last exchange
	share   share
}

// shard has the buckets of one lock.
type shard struct {
	mu      sync.Mutex
	buckets *simplelru.LRU[bucketKey, *bucket]
}

func (s *shard) init() {
	s.buckets, _ = simplelru.NewLRU[bucketKey, *bucket](BucketsMax/shardsMax, nil) // the size is valid
}

func (s *shard) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buckets.Len()
}

func (l *Limiter) shardOf(key bucketKey) *shard {
	return &l.shards[maphash.Comparable(l.seed, key)%shardsMax]
}

// take takes the cost from a bucket. It returns 0, or how long the caller must wait for
// that much. left is what the bucket has.
func (l *Limiter) take(key bucketKey, q quota.Quota, cost int, now time.Time) (wait time.Duration, left float64) {
	s := l.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	b, known := s.buckets.Get(key)
	if !known {
		b = &bucket{key: key, quota: q, limiter: rate.NewLimiter(rate.Limit(q.PerSecond()), q.Cost)}
		s.buckets.Add(key, b)
	}
	l.adapt(b, now)
	if !b.limiter.AllowN(now, cost) {
		left = b.limiter.TokensAt(now)
		seconds := (float64(cost) - left) / float64(b.limiter.Limit())
		return time.Duration(math.Ceil(seconds*1000)) * time.Millisecond, left
	}
	b.unsent += cost
	if !b.waits && b.unsent >= l.exchangeFrom[key.class] && l.config.Exchange != nil {
		l.enqueue(b)
	}
	return 0, 0
}

// untilOne returns how long a caller must wait until its bucket has a unit; 0 where it
// has one.
func (l *Limiter) untilOne(key bucketKey, now time.Time) time.Duration {
	s := l.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	b, known := s.buckets.Get(key)
	if !known {
		return 0
	}
	l.adapt(b, now)
	lacking := 1 - b.limiter.TokensAt(now)
	if lacking <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(lacking/float64(b.limiter.Limit())*1000)) * time.Millisecond
}

// adapt makes a bucket fill at this instance's share while Redis is away, and at the
// whole quota otherwise. The caller has locked the shard.
func (l *Limiter) adapt(b *bucket, now time.Time) {
	away := l.away.Load()
	if b.away == away {
		return
	}
	b.away = away
	part := 1.0
	if away {
		part = b.share.part(l.lastShare.Load())
	}
	b.limiter.SetLimitAt(now, rate.Limit(b.quota.PerSecond()*part))
}

// refill sets what is left in a bucket, which then fills at the whole quota. The caller
// has locked the shard.
func (b *bucket) refill(now time.Time, left float64) {
	b.limiter = rate.NewLimiter(rate.Limit(b.quota.PerSecond()), b.quota.Cost)
	b.away = false
	lacking := int(float64(b.quota.Cost) - left)
	for lacking > 0 { // a reservation is at most a whole bucket
		n := min(lacking, b.quota.Cost)
		b.limiter.ReserveN(now, n)
		lacking -= n
	}
}

// shareSlack is how much more than its share an instance permits while Redis is away:
// shares are measured over a few exchanges, and scatter.
const shareSlack = 1.25

// share is what an instance, and all instances, have used lately.
type share struct{ own, all float64 }

// shareKept is the part of earlier use that counts beside that of the latest exchange.
const shareKept = 0.8

// shareMin is the least share: a caller may have moved to this instance.
const shareMin = 0.05

func (s *share) add(own, others float64) {
	s.own = s.own*shareKept + own
	s.all = s.all*shareKept + own + others
}

// part returns the share with its slack, from shareMin to 1. Where nothing is known of it, fallback
// counts; nil means 1.
func (s *share) part(fallback *float64) float64 {
	switch {
	case s.all > 0:
		return min(1, max(shareMin, shareSlack*s.own/s.all))
	case fallback != nil:
		return *fallback
	}
	return 1
}
