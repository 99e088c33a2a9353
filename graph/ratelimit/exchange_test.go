package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/graph/ratelimit"
	"onhand/models/quota"
)

// sharedBuckets stands for Redis.
type sharedBuckets struct {
	mu      sync.Mutex
	down    bool
	calls   int
	most    int // uses of one call
	buckets map[string]*sharedBucket
}

type sharedBucket struct {
	left, used float64
	at         time.Time
}

var errAway = errors.New("away")

func (s *sharedBuckets) Spend(_ context.Context, uses []quota.Use) (balances []quota.Balance, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.most = max(s.most, len(uses))
	if s.down {
		return nil, errAway
	}
	if s.buckets == nil {
		s.buckets = map[string]*sharedBucket{}
	}
	for _, use := range uses {
		most := float64(use.Quota.Cost)
		b := s.buckets[use.Bucket]
		if b == nil {
			b = &sharedBucket{left: most, at: time.Now()}
			s.buckets[use.Bucket] = b
		}
		b.left = min(most, b.left+time.Since(b.at).Seconds()*use.Quota.PerSecond()) - float64(use.Cost)
		b.left, b.at = math.Max(b.left, -most), time.Now()
		b.used += float64(use.Cost)
		balances = append(balances, quota.Balance{Left: b.left, Used: b.used})
	}
	return balances, nil
}

// counted returns the calls, the most uses of one, and the buckets.
func (s *sharedBuckets) counted() (calls, most, buckets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.most, len(s.buckets)
}

func (s *sharedBuckets) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// instances run limiters that share buckets.
func instances(t *testing.T, n int, shared *sharedBuckets) (limiters []*ratelimit.Limiter) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	for range n {
		limiter := ratelimit.New(ratelimit.LimiterConfig{Quotas: thousand, Exchange: shared})
		running.Go(func() { limiter.Run(ctx) })
		limiters = append(limiters, limiter)
	}
	return limiters
}

// load has a caller ask instances in turn, more than its quota permits, and returns how
// much it got.
func load(ctx context.Context, duration time.Duration, limiters ...*ratelimit.Limiter) (got int) {
	const cost = 5
	for end := time.Now().Add(duration); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, limiter := range limiters {
			if limiter.Spend(ctx, ratelimit.Reads, cost) == nil {
				got += cost
			}
		}
	}
	return got
}

// TestQuotaOverInstances: a caller gets one quota over all instances, whether it uses
// them in turn or one after the other.
func TestQuotaOverInstances(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func(ctx context.Context, limiters []*ratelimit.Limiter) int{
		"in turn": func(ctx context.Context, limiters []*ratelimit.Limiter) int {
			return load(ctx, 60*time.Second, limiters...)
		},
		"one after the other": func(ctx context.Context, limiters []*ratelimit.Limiter) (got int) {
			for i := range 60 {
				got += load(ctx, time.Second, limiters[i%len(limiters)])
			}
			return got
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				limiters := instances(t, 4, &sharedBuckets{})
				got := order(subject(t, "busy"), limiters)
				// A full bucket, and 100 units a second. Until the first exchange each
				// instance has the whole quota; what is used too much is a debt.
				assert.InDelta(t, 1000+60*100, got, 700)
			})
		})
	}
}

// TestRedisAway: while Redis is away each instance fills buckets at the share that it
// had, so that callers get what they got before. A caller that nobody knows gets the
// share of all others.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := &sharedBuckets{}
		limiters := instances(t, 2, shared)
		spread, sticky, late := subject(t, "spread"), subject(t, "sticky"), subject(t, "late")
		for range 30 {
			load(spread, 500*time.Millisecond, limiters...)
			load(sticky, 500*time.Millisecond, limiters[0])
		}
		shared.setDown(true)
		load(spread, 5*time.Second, limiters...)
		assert.False(t, limiters[0].Sharing())
		time.Sleep(time.Minute)
		load(spread, 15*time.Second, limiters...) // empties the buckets
		assert.InDelta(t, 6750, load(spread, 60*time.Second, limiters...), 1500, "with slack")
		load(sticky, 15*time.Second, limiters[0])
		assert.InDelta(t, 6000, load(sticky, 60*time.Second, limiters[0]), 900)
		load(late, 30*time.Second, limiters...)
		assert.InDelta(t, 8000, load(late, 60*time.Second, limiters...), 3000)
		time.Sleep(time.Minute)

		shared.setDown(false)
		load(spread, time.Second, limiters...)
		assert.True(t, limiters[0].Sharing())
		time.Sleep(10 * time.Second)
		load(spread, 10*time.Second, limiters...)
		assert.InDelta(t, 6000, load(spread, 60*time.Second, limiters...), 300)
	})
}

// TestNothingIsRefusedForAnOutage: a caller within its quota notices neither that Redis
// goes nor that it comes back, after however long.
func TestNothingIsRefusedForAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := &sharedBuckets{}
		limiters := instances(t, 3, shared)
		ctx := subject(t, "steady")
		for second := range 600 {
			shared.setDown(second >= 60 && second < 500)
			for _, limiter := range limiters {
				assert.Nil(t, limiter.Spend(ctx, ratelimit.Reads, 30), "second %d", second)
			}
			time.Sleep(time.Second)
		}
		calls, _, _ := shared.counted()
		assert.Greater(t, calls, 600)
	})
}

// TestExchangesAreBounded: an exchange has at most a hundred uses, and callers that use
// little need none.
func TestExchangesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := &sharedBuckets{}
		limiter := instances(t, 1, shared)[0]
		assert.Nil(t, limiter.Spend(subject(t, "little"), ratelimit.Reads, 9))
		time.Sleep(time.Second)
		calls, _, _ := shared.counted()
		assert.Zero(t, calls)
		for n := range 250 {
			assert.Nil(t, limiter.Spend(subject(t, string(rune('a'+n))), ratelimit.Reads, 500))
		}
		time.Sleep(10 * 250 * time.Millisecond)
		calls, most, buckets := shared.counted()
		assert.Equal(t, []int{3, 100, 250}, []int{calls, most, buckets})
	})
}
