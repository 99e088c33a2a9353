package ratelimit

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"onhand/graph/guard"
	"onhand/models/quota"
)

// Class is what a quota is for.
type Class int

// The classes.
const (
	Reads Class = iota
	Writes
	Subscriptions
	Documents
	Tokens
	classes
)

var (
	// classNames are the classes as headers and metrics name them.
	classNames = [classes]string{"reads", "writes", "subscriptions", "documents", "tokens"}
	// classUses say in messages what there were too many of.
	classUses = [classes]string{"reads", "writes", "subscriptions", "documents", "tokens that are not accepted"}
)

// String returns the name.
func (c Class) String() string { return classNames[c] }

// Classes lists all classes.
func Classes() []Class { return []Class{Reads, Writes, Subscriptions, Documents, Tokens} }

const (
	// RequestCost is what every operation costs beside its complexity: about the time of
	// one that asks for next to nothing, in units of a field that is read.
	RequestCost = 10
	// documentCostMin is what the smallest document costs that is not in the cache.
	documentCostMin = 100
	// bytesPerUnit is how many bytes of a body cost one unit: decoding them takes some 2 µs.
	bytesPerUnit = 100
)

// Exchange shares uses with other instances.
type Exchange interface {
	// Spend takes uses from their buckets, and returns the buckets in the same order.
	// It must have a deadline.
	Spend(ctx context.Context, uses []quota.Use) ([]quota.Balance, error)
}

// LimiterConfig configures a Limiter.
type LimiterConfig struct {
	// Quotas are those of the classes. A class without one is not bounded.
	Quotas map[Class]quota.Quota
	// ExemptScopes and ExemptNetworks are the callers without bounds.
	ExemptScopes   []guard.Scope
	ExemptNetworks []netip.Prefix
	// Exchange is nil where this instance is alone.
	Exchange Exchange
	// Interval is how often instances exchange; 0 for the default.
	Interval time.Duration
	// Logger is nil for none.
	Logger *slog.Logger
}

// Limiter bounds callers. It is safe for concurrent use. Without Run it does not
// exchange.
type Limiter struct {
	config LimiterConfig
	quotas [classes]quota.Quota
	seed   maphash.Seed
	shards [shardsMax]shard
	// exchangeFrom is the use from which a bucket of the class is exchanged.
	exchangeFrom [classes]int
	limited      [classes]atomic.Int64
	waiting      chan *bucket
	away         atomic.Bool // the last exchange failed
	share        share       // of all callers; of the goroutine of Run
	lastShare    atomic.Pointer[float64]
}

// New returns a Limiter.
func New(config LimiterConfig) *Limiter {
	if config.Interval == 0 {
		config.Interval = intervalDefault
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Limiter{config: config, seed: maphash.MakeSeed(), waiting: make(chan *bucket, waitingMax)}
	for i := range l.shards {
		l.shards[i].init()
	}
	for class, q := range config.Quotas {
		l.quotas[class] = q
		l.exchangeFrom[class] = max(1, q.Cost/exchangePart)
	}
	return l
}

// Limited returns how many operations and documents of a class were refused.
func (l *Limiter) Limited(class Class) int64 { return l.limited[class].Load() }

// Sharing reports whether the last exchange succeeded, or none was needed yet.
func (l *Limiter) Sharing() bool { return !l.away.Load() }

// Buckets returns how many buckets there are.
func (l *Limiter) Buckets() (n int) {
	for i := range l.shards {
		n += l.shards[i].len()
	}
	return n
}

// Spend takes the cost from the bucket of the context's caller. It returns nil, or the
// refusal.
func (l *Limiter) Spend(ctx context.Context, class Class, cost int) *LimitRefusal {
	q := l.quotas[class]
	if q.Unbounded() || l.Exempt(ctx) {
		return nil
	}
	wait, left := l.take(keyOf(ctx, class), q, min(cost, q.Cost), time.Now())
	if wait == 0 {
		return nil
	}
	l.limited[class].Add(1)
	return &LimitRefusal{Class: class, Quota: q, RetryAfter: wait, Left: max(0, int(left))}
}

// keyOf names the bucket of the context's caller.
func keyOf(ctx context.Context, class Class) bucketKey {
	key := bucketKey{class: class, subject: guard.Subject(ctx)}
	if key.subject == "" {
		key.network = guard.ClientNetwork(ctx)
	}
	return key
}

// UsedUp returns nil, or the refusal of a caller whose bucket has less than one unit. It
// takes nothing.
func (l *Limiter) UsedUp(ctx context.Context, class Class) *LimitRefusal {
	q := l.quotas[class]
	if q.Unbounded() || l.Exempt(ctx) {
		return nil
	}
	wait := l.untilOne(keyOf(ctx, class), time.Now())
	if wait == 0 {
		return nil
	}
	l.limited[class].Add(1)
	return &LimitRefusal{Class: class, Quota: q, RetryAfter: wait}
}

// Exempt reports whether the caller has no bounds. A client without a known address is
// never exempt by address.
func (l *Limiter) Exempt(ctx context.Context) bool {
	for _, scope := range l.config.ExemptScopes {
		if guard.Has(ctx, scope) {
			return true
		}
	}
	if len(l.config.ExemptNetworks) == 0 {
		return false
	}
	address := guard.ClientAddress(ctx)
	return address.IsValid() && slices.ContainsFunc(l.config.ExemptNetworks, func(n netip.Prefix) bool { return n.Contains(address) })
}
