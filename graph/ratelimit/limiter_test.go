package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/ratelimit"
	"onhand/models"
	"onhand/models/quota"
)

// from is the context of a request without a token from an address.
func from(t testing.TB, address string) (ctx context.Context) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.RemoteAddr = address
	guard.WithAddress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() }), guard.Proxies{}).
		ServeHTTP(httptest.NewRecorder(), r)
	return ctx
}

func subject(t testing.TB, name string, scopes ...guard.Scope) context.Context {
	t.Helper()
	return guard.WithIdentity(from(t, "192.0.2.1:1"), guard.Identity{Subject: name, Scopes: scopes})
}

var thousand = map[ratelimit.Class]quota.Quota{
	ratelimit.Reads:         {Cost: 1000, Window: 10 * time.Second},
	ratelimit.Writes:        {Cost: 1000, Window: 10 * time.Second},
	ratelimit.Subscriptions: {Cost: 1000, Window: 10 * time.Second},
}

// TestBuckets: each caller has a bucket of each class. What is refused may be sent
// again after the time that the refusal says.
func TestBuckets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := ratelimit.New(ratelimit.LimiterConfig{Quotas: thousand})
		home, other := from(t, "192.0.2.1:1"), from(t, "192.0.2.2:1")
		assert.Nil(t, limiter.Spend(home, ratelimit.Reads, 700))
		assert.Nil(t, limiter.Spend(from(t, "192.0.2.1:99"), ratelimit.Reads, 300), "the port does not count")
		refusal := limiter.Spend(home, ratelimit.Reads, 50)
		require.NotNil(t, refusal)
		assert.Equal(t, 500*time.Millisecond, refusal.RetryAfter)
		assert.Equal(t, models.CodeRateLimited, models.CodeOf(refusal))
		assert.Nil(t, limiter.Spend(home, ratelimit.Writes, 1000), "another class")
		assert.Nil(t, limiter.Spend(home, ratelimit.Documents, 1e9), "a class without a quota")
		assert.Nil(t, limiter.Spend(other, ratelimit.Reads, 1000), "another address")
		assert.Nil(t, limiter.Spend(subject(t, "a"), ratelimit.Reads, 1000), "a subject at the same address")
		assert.Nil(t, limiter.Spend(subject(t, "b"), ratelimit.Reads, 1000))
		assert.NotNil(t, limiter.Spend(subject(t, "b"), ratelimit.Reads, 1))

		assert.Nil(t, limiter.Spend(from(t, "[2001:db8::1]:1"), ratelimit.Reads, 1000))
		assert.NotNil(t, limiter.Spend(from(t, "[2001:db8::2]:1"), ratelimit.Reads, 1), "the same /64")
		assert.Nil(t, limiter.Spend(from(t, "[2001:db8:0:1::1]:1"), ratelimit.Reads, 1))

		time.Sleep(refusal.RetryAfter - time.Millisecond)
		assert.NotNil(t, limiter.Spend(home, ratelimit.Reads, 50))
		time.Sleep(time.Millisecond)
		assert.Nil(t, limiter.Spend(home, ratelimit.Reads, 50))
		assert.EqualValues(t, 4, limiter.Limited(ratelimit.Reads))
		assert.Zero(t, limiter.Limited(ratelimit.Writes))

		time.Sleep(10 * time.Second)
		assert.Nil(t, limiter.Spend(home, ratelimit.Reads, 1_000_000), "an operation dearer than the quota takes all of it")
		assert.NotNil(t, limiter.Spend(home, ratelimit.Reads, 1))
	})
}

// TestExempt: scopes and addresses without bounds. An unknown address has a bucket.
func TestExempt(t *testing.T) {
	t.Parallel()
	limiter := ratelimit.New(ratelimit.LimiterConfig{
		Quotas: thousand, ExemptScopes: []guard.Scope{guard.Admin, guard.WriteOrders}, ExemptNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::/0")},
	})
	for name, c := range map[string]struct {
		ctx    context.Context
		exempt bool
	}{
		"order service":   {subject(t, "orders", guard.ReadOrders, guard.WriteOrders), true},
		"operator":        {subject(t, "root", guard.Admin), true},
		"merchant":        {subject(t, "erp", guard.ReadInventory, guard.WriteInventory), false},
		"gateway":         {from(t, "10.1.2.3:80"), true},
		"beside":          {from(t, "10.2.2.3:80"), false},
		"unknown address": {from(t, "@"), false},
	} {
		_ = limiter.Spend(c.ctx, ratelimit.Writes, 1000)
		assert.Equal(t, c.exempt, limiter.Spend(c.ctx, ratelimit.Writes, 1000) == nil, name)
	}
}

// TestBucketsAreBounded: callers without number do not take memory without bound.
func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	limiter := ratelimit.New(ratelimit.LimiterConfig{Quotas: thousand})
	ctx := t.Context()
	for n := range 2 * ratelimit.BucketsMax {
		_ = limiter.Spend(guard.WithIdentity(ctx, guard.Identity{Subject: fmt.Sprint(n)}), ratelimit.Reads, 1)
	}
	assert.LessOrEqual(t, limiter.Buckets(), ratelimit.BucketsMax)
	assert.Greater(t, limiter.Buckets(), ratelimit.BucketsMax/2)
}

// TestConcurrentCallers: together they use no more than the quota.
func TestConcurrentCallers(t *testing.T) {
	t.Parallel()
	limiter := ratelimit.New(ratelimit.LimiterConfig{Quotas: map[ratelimit.Class]quota.Quota{ratelimit.Reads: {Cost: 10_000, Window: 24 * time.Hour}}})
	ctx := subject(t, "one")
	var passed atomic.Int64
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 1000 {
				if limiter.Spend(ctx, ratelimit.Reads, 10) == nil {
					passed.Add(1)
				}
			}
		})
	}
	callers.Wait()
	assert.InDelta(t, 1000, passed.Load(), 2)
}

// TestHeaders: what a refusal says to programs that do not read its body.
func TestHeaders(t *testing.T) {
	t.Parallel()
	refusal := &ratelimit.LimitRefusal{Class: ratelimit.Writes, Quota: quota.Quota{Cost: 600, Window: time.Minute}, RetryAfter: 1001 * time.Millisecond, Left: 7}
	header := http.Header{}
	refusal.WriteHeaders(header)
	assert.Equal(t, http.Header{
		"Retry-After": {"2"}, "Ratelimit": {`"writes";r=7;t=2`}, "Ratelimit-Policy": {`"writes";q=600;qu="complexity";w=60`},
	}, header)
}

func BenchmarkSpend(b *testing.B) {
	limiter := ratelimit.New(ratelimit.LimiterConfig{
		Quotas:       map[ratelimit.Class]quota.Quota{ratelimit.Reads: {Cost: quota.CostMax, Window: time.Second}},
		ExemptScopes: []guard.Scope{guard.Admin, guard.WriteOrders},
	})
	for name, ctx := range map[string]context.Context{"subject": subject(b, "someone"), "address": from(b, "192.0.2.1:80"), "exempt": subject(b, "gateway", guard.WriteOrders)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if limiter.Spend(ctx, ratelimit.Reads, 100) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
