package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"onhand/models/quota"
)

const (
	// intervalDefault is how often instances exchange. Between two exchanges a caller may
	// use what is left of its quota at every instance.
	intervalDefault = 250 * time.Millisecond
	// usesMax bounds the uses of one exchange: one pipeline of scripts. The rest waits for
	// the next one.
	usesMax = 100
	// waitingMax bounds the buckets that wait for an exchange.
	waitingMax = 4096
	// exchangePart is the part of a quota from which a use is exchanged. Who uses less
	// than that while a bucket fills needs no exchange at all.
	exchangePart = 100
)

// Run exchanges with other instances until the context ends.
func (l *Limiter) Run(ctx context.Context) {
	if l.config.Exchange == nil {
		return
	}
	ticker := time.NewTicker(l.config.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.exchange(ctx)
		}
	}
}

// enqueue has a bucket take part in the next exchange, if there is room. The caller has
// locked its shard.
func (l *Limiter) enqueue(b *bucket) {
	select {
	case l.waiting <- b:
		b.waits = true
	default: // its next use tries again
	}
}

// exchange sends what waits, and takes over what Redis has left of it.
func (l *Limiter) exchange(ctx context.Context) {
	buckets, uses := l.collect(time.Now())
	if len(uses) == 0 {
		return
	}
	balances, err := l.config.Exchange.Spend(ctx, uses)
	if err != nil || len(balances) != len(uses) {
		if !l.away.Swap(true) {
			l.config.Logger.Info("rate limits are not shared: each instance bounds its own share", "error", err)
		}
		for i, b := range buckets {
			l.giveBack(b, uses[i].Cost)
		}
		return
	}
	if l.away.Swap(false) {
		l.config.Logger.Info("rate limits are shared again")
	}
	now := time.Now()
	var own, others float64
	for i, b := range buckets {
		own += float64(uses[i].Cost)
		others += l.settle(b, uses[i].Cost, balances[i], now)
	}
	l.share.add(own, others)
	part := l.share.part(nil)
	l.lastShare.Store(&part)
}

// collect takes buckets out of the queue, with what they used.
func (l *Limiter) collect(now time.Time) (buckets []*bucket, uses []quota.Use) {
	for range usesMax {
		select {
		case b := <-l.waiting:
			if cost := l.takeUnsent(b, now); cost > 0 {
				buckets = append(buckets, b)
				uses = append(uses, quota.Use{Bucket: b.key.name(), Quota: b.quota, Cost: cost})
			}
		default:
			return buckets, uses
		}
	}
	return buckets, uses
}

// takeUnsent takes what a bucket used since its last exchange. After an outage that is
// no more than what it has not got back since.
func (l *Limiter) takeUnsent(b *bucket, now time.Time) (cost int) {
	s := l.shardOf(b.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.waits = false
	cost = b.unsent
	if b.away {
		lacking := float64(b.quota.Cost) - b.limiter.TokensAt(now)
		cost = max(0, min(cost, int(lacking)))
	}
	b.unsent = 0
	return cost
}

// giveBack keeps a use for the next exchange.
func (l *Limiter) giveBack(b *bucket, cost int) {
	s := l.shardOf(b.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.unsent += cost
	if !b.waits {
		l.enqueue(b)
	}
}

// settle takes over what is left of a quota over all instances, less what this one used
// since it asked. It returns what others used since the last exchange.
func (l *Limiter) settle(b *bucket, cost int, balance quota.Balance, now time.Time) (others float64) {
	s := l.shardOf(b.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	others = max(0, balance.Used-b.used-float64(cost))
	b.used = balance.Used
	b.share.add(float64(cost), others)
	b.refill(now, balance.Left-float64(b.unsent))
	return others
}

// name names a bucket in Redis, without the caller's own name.
func (k bucketKey) name() string {
	text := k.class.String() + " " + k.subject
	if k.subject == "" {
		text = k.class.String() + "/" + k.network.String()
	}
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}
