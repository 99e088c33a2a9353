package audit

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest/fixture"
)

func (s auditedStack) sampler(settle time.Duration) *Sampler {
	return NewSampler(s.subjects(), settle, slog.New(slog.DiscardHandler))
}

// measured reads the metrics of a sampler: name{kind} to value.
func measured(t *testing.T, s *Sampler) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.Collectors()...)
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		require.NotEmpty(t, family.GetHelp())
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += "{" + label.GetValue() + "}"
			}
			values[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return values
}

// pass lets a sampler compare all products once.
func pass(t *testing.T, s *Sampler) {
	t.Helper()
	ended := measured(t, s)["onhand_audit_last_pass_duration_seconds"]
	fixture.Eventually(t, func() bool {
		s.Step(t.Context())
		return measured(t, s)["onhand_audit_last_pass_duration_seconds"] != ended
	})
}

// The sampled audit compares all products in small pages, again and again. What it
// finds is counted once. What is wrong in Redis it repairs.
func TestSampler(t *testing.T) {
	onEach(t, func(t *testing.T, s auditedStack) {
		s.StockUp(t, 5, fixture.Numbered(30)...)
		p := s.sampler(0)
		pass(t, p)
		m := measured(t, p)
		require.EqualValues(t, 30, m["onhand_audit_products_total"])
		require.Zero(t, m["onhand_audit_failures_total"])
		for _, kind := range kinds {
			require.Contains(t, m, "onhand_audit_differences_total{"+string(kind)+"}")
			require.Zero(t, m["onhand_audit_differences_total{"+string(kind)+"}"])
		}
		require.InDelta(t, time.Now().Unix(), m["onhand_audit_last_pass_timestamp_seconds"], 60)

		s.pastTriggers("UPDATE stock_levels SET damaged = 1, reserved = 2 WHERE product_id = 'p007'")
		s.setHash("p020", "version", 77)
		s.setHash("p021", "version", 1)
		for n := 1; n <= 2; n++ {
			p.resumeAt = time.Time{}
			pass(t, p)
			require.NoError(t, p.recheckSuspects(t.Context())) // those of the last page
			require.NoError(t, p.repairFound(t.Context()))
			m = measured(t, p)
			for kind, want := range map[DifferenceKind]int{
				LedgerSum: 1, LedgerLast: 1, Reserved: 1, RedisAhead: 1, RedisContent: 1,
				RedisBehind: 1, LedgerChain: 0, Committed: 0, RedisEpoch: 0,
			} {
				require.EqualValues(t, want, m["onhand_audit_differences_total{"+string(kind)+"}"], "%s, pass %d", kind, n)
			}
			require.EqualValues(t, 1, m["onhand_audit_last_pass_differences{ledger_sum}"])
			require.EqualValues(t, 1, m["onhand_audit_last_pass_differences{reserved}"])
			require.EqualValues(t, 3, m["onhand_redis_repairs_total"])
		}
		require.EqualValues(t, 78, cached(t, s, "p020").Version)
		require.EqualValues(t, 2, cached(t, s, "p021").Version)
		s.setHash("p020", "version", 99)
		p.resumeAt = time.Time{}
		pass(t, p)
		m = measured(t, p)
		require.EqualValues(t, 2, m["onhand_audit_differences_total{redis_ahead}"], "another incident")
		require.EqualValues(t, 1, m["onhand_audit_differences_total{redis_content}"])
		require.EqualValues(t, 100, cached(t, s, "p020").Version)
		p.resumeAt = time.Now().Add(time.Hour)
		pass(t, p)
		m = measured(t, p)
		require.EqualValues(t, 1, m["onhand_audit_differences_total{reserved}"])
		require.EqualValues(t, 1, m["onhand_audit_last_pass_differences{reserved}"], "and so as it was")
	})
}

// A page stays small: it shrinks where comparing is slow, and of an old product
// only the end of the ledger is read.
func TestSamplerStaysSmall(t *testing.T) {
	onEach(t, func(t *testing.T, s auditedStack) {
		s.StockUp(t, 5, "old")
		for n := 0; n < sampleWindow+20; n += 10 {
			adjust := models.Adjust{IdempotencyKey: fmt.Sprint(n), Reason: models.ReasonReceived}
			for range 10 {
				adjust.Rows = append(adjust.Rows, fixture.Receive("", "old", 1).Rows...)
			}
			s.Write(t, adjust)
			s.exec("UPDATE stock_levels SET available = available - 1")
		}
		p := s.sampler(time.Minute)
		pass(t, p)
		require.LessOrEqual(t, p.tally.Movements, int64(sampleWindow))
		p.size = sampleSizeMax
		s.raw.Close()
		s.Database.Close()
		failures := measured(t, p)["onhand_audit_failures_total"]
		for range 10 {
			p.Step(t.Context())
		}
		require.Equal(t, sampleSizeMin, p.size)
		require.EqualValues(t, failures+10, measured(t, p)["onhand_audit_failures_total"])
	})
}

// While Redis is away, the database is audited alone. When Redis is back it has
// its settle time from then on.
func TestSamplerWithoutRedis(t *testing.T) {
	t.Parallel()
	s := tamperWith(t, fixture.SQLite(t, t.TempDir()+"/stock.db"))
	s.StockUp(t, 5, fixture.Numbered(3)...)
	away := tamperWith(t, fixture.Open(t, s.DatabaseURL, "redis://127.0.0.1:1"))
	fixture.Eventually(t, func() bool { _, err := away.Cache.Watermark(t.Context()); return err != nil && !away.Cache.Healthy() })
	p := away.sampler(time.Minute)
	p.suspects["p001"] = suspect{kind: RedisBehind}
	pass(t, p)
	require.Empty(t, p.suspects)
	m := measured(t, p)
	require.Positive(t, m["onhand_audit_products_total"])
	require.Zero(t, m["onhand_audit_differences_total{redis_behind}"])
	p.measureOutbox(t.Context())
	p.oldestSince = p.oldestSince.Add(-time.Minute)
	p.measureOutbox(t.Context())
	m = measured(t, p)
	require.GreaterOrEqual(t, m["onhand_relay_lag_seconds"], 60.0, "no relay drains it")
	require.Positive(t, m["onhand_outbox_rows"])
}
