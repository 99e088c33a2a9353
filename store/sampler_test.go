package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// measured reads all metrics of a store: name{label,label} to value; of
// histograms, how much they counted.
func measured(t *testing.T, s *Store) map[string]float64 {
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
			if labels := metric.GetLabel(); len(labels) > 0 {
				name += "{"
				for i, label := range labels {
					if i > 0 {
						name += ","
					}
					name += label.GetValue()
				}
				name += "}"
			}
			values[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// pass lets a sampler go through all products once.
func pass(t *testing.T, s *Store, p *sampler) {
	t.Helper()
	ended := measured(t, s)["onhand_audit_last_pass_duration_seconds"]
	eventually(t, func() bool {
		p.step(t.Context())
		return measured(t, s)["onhand_audit_last_pass_duration_seconds"] != ended
	})
}

// The audit beside the service goes round and round in small pages, and what
// it finds is in the metrics, in every pass anew.
func TestSampler(t *testing.T) {
	onEachAudited(t, Config{AuditInterval: time.Hour}, func(t *testing.T, s auditShop) {
		ids := numbered(30)
		stockUp(t, s.Store, 5, ids...)
		s.cached(ids...)
		quiet(t, s.Store)
		p := s.newSampler()
		p.options.Settle = 0
		pass(t, s.Store, p)
		m := measured(t, s.Store)
		require.EqualValues(t, 30, m["onhand_audit_products_total"])
		require.Zero(t, m["onhand_audit_failures_total"])
		for _, kind := range auditKinds {
			require.Zero(t, m["onhand_audit_differences_total{"+string(kind)+"}"])
		}
		require.InDelta(t, time.Now().Unix(), m["onhand_audit_last_pass_timestamp_seconds"], 60)

		s.unseen("UPDATE stock_levels SET damaged = 1, reserved = 2 WHERE product_id = 'p007'")
		s.hset("p020", "version", 77)
		s.hset("p021", "version", 1)
		for n := 1; n <= 2; n++ {
			p.rested = time.Time{}
			pass(t, s.Store, p)
			require.NoError(t, p.lookAgain(t.Context())) // at suspects of the last page
			m = measured(t, s.Store)
			for kind, want := range map[AuditKind]int{
				AuditLedgerSum: 1, AuditLedgerLast: 1, AuditReserved: 1, AuditRedisAhead: 1, AuditRedisContent: 1,
				AuditRedisBehind: 1, AuditLedgerChain: 0, AuditCommitted: 0, AuditRedisEpoch: 0,
			} {
				require.EqualValues(t, n*want, m["onhand_audit_differences_total{"+string(kind)+"}"], kind)
			}
			require.EqualValues(t, 1, m["onhand_audit_last_pass_differences{ledger_sum}"])
			require.EqualValues(t, 1, m["onhand_audit_last_pass_differences{reserved}"])
		}
		p.rested = time.Now().Add(time.Hour)
		pass(t, s.Store, p)
		m = measured(t, s.Store)
		require.EqualValues(t, 2, m["onhand_audit_differences_total{reserved}"], "not looked at again so soon")
		require.EqualValues(t, 1, m["onhand_audit_last_pass_differences{reserved}"], "and so as it was")
	})
}

// A page never takes long: it shrinks where comparing is slow, and an old
// product's ledger is read from its end only.
func TestSamplerStaysSmall(t *testing.T) {
	onEachAudited(t, Config{AuditInterval: time.Hour}, func(t *testing.T, s auditShop) {
		stockUp(t, s.Store, 5, "old")
		for n := 0; n < sampleWindow+20; n += 10 {
			adjust := models.Adjust{IdempotencyKey: fmt.Sprint(n), Reason: models.ReasonReceived}
			for range 10 {
				adjust.Rows = append(adjust.Rows, receive("", "old", 1).Rows...)
			}
			for i := range adjust.Rows {
				adjust.Rows[i].LocationID = "a"
			}
			write(t, s.Store, adjust)
			s.exec("UPDATE stock_levels SET available = available - 1")
		}
		p := s.newSampler()
		before := p.report.Movements
		pass(t, s.Store, p)
		require.LessOrEqual(t, p.report.Movements-before, int64(sampleWindow))
		p.size = sampleSizeMax
		s.raw.Close()
		s.database.Close()
		failures := measured(t, s.Store)["onhand_audit_failures_total"]
		for range 10 {
			p.step(t.Context())
		}
		require.Equal(t, sampleSizeMin, p.size)
		require.EqualValues(t, failures+10, measured(t, s.Store)["onhand_audit_failures_total"])
	})
}

// While Redis is away the database is audited all the same, and Redis has its
// time when it is back.
func TestSamplerWithoutRedis(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: "sqlite::memory:", RedisURL: "redis://127.0.0.1:1", AuditInterval: time.Hour})
	stockUp(t, s, 5, numbered(3)...)
	p := s.newSampler()
	p.suspects["p001"] = suspect{kind: AuditRedisBehind}
	pass(t, s, p)
	require.Empty(t, p.suspects)
	m := measured(t, s)
	require.Positive(t, m["onhand_audit_products_total"])
	require.Zero(t, m["onhand_audit_differences_total{redis_behind}"])
	require.Zero(t, m["onhand_redis_up"])
	p.measureOutbox(t.Context())
	p.since = p.since.Add(-time.Minute)
	p.measureOutbox(t.Context())
	m = measured(t, s)
	require.GreaterOrEqual(t, m["onhand_relay_lag_seconds"], 60.0, "nobody carries it")
	require.Positive(t, m["onhand_outbox_rows"])
}

// The server audits itself, without being asked.
func TestServerAuditsItself(t *testing.T) {
	onEachAudited(t, Config{AuditInterval: 10 * time.Millisecond}, func(t *testing.T, s auditShop) {
		stockUp(t, s.Store, 5, "x")
		s.unseen("UPDATE stock_levels SET damaged = 1")
		eventually(t, func() bool { return measured(t, s.Store)["onhand_audit_differences_total{ledger_sum}"] > 1 })
		s.rewrite("UPDATE stock_movements SET damaged_delta = 1, damaged_after = 1")
		eventually(t, func() bool { return measured(t, s.Store)["onhand_audit_last_pass_differences{ledger_sum}"] == 0 })
	})
}

// What is done is counted.
func TestMetrics(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		held := write(t, s, hold("h", "x", 2, time.Hour)).Reservation
		write(t, s, hold("h", "x", 2, time.Hour))
		write(t, s, hold("much", "x", 9, time.Hour))
		write(t, s, models.Resolve{IdempotencyKey: "c", ID: held.ID, To: models.ReservationCommitted})
		eventually(t, func() bool { return read(t, s, "x").Source == models.FromCache })
		read(t, s, "unknown")
		m := measured(t, s)
		for name, want := range map[string]float64{
			"onhand_writes_total{done,Reserve}": 1, "onhand_writes_total{replayed,Reserve}": 1, "onhand_writes_total{refused,Reserve}": 1,
			"onhand_writes_total{done,Resolve}": 1, "onhand_redis_up": 1, "onhand_writes_waiting": 0, "onhand_writes_blocked": 0,
		} {
			require.EqualValues(t, want, m[name], name)
		}
		require.GreaterOrEqual(t, m["onhand_write_batch_writes"], 5.0)
		require.Equal(t, m["onhand_write_batch_writes"], m["onhand_write_batch_seconds{committed}"])
		for _, name := range []string{
			"onhand_cache_hits_total", "onhand_cache_misses_total", "onhand_cache_applies_total", "onhand_redis_round_trips_total",
			"onhand_database_reads_total", "onhand_database_connections",
		} {
			require.Positive(t, m[name], name)
		}
		eventually(t, func() bool {
			m := measured(t, s)
			return m["onhand_relay_drained_total"] > 0 && m["onhand_feed_connected"] == 1
		})
	})
}
