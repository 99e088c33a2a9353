package store

import (
	"reflect"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"onhand/models"
	"onhand/store/database"
)

// metrics are what is counted as it happens; all else is read from those who
// count it when somebody asks.
type metrics struct {
	writes       *prometheus.CounterVec
	holdsDone    prometheus.Counter // the one of writes that counts most, kept: finding it by its labels is work for each
	batchWrites  prometheus.Histogram
	batchSeconds *prometheus.HistogramVec

	auditProducts    prometheus.Counter
	auditDifferences *prometheus.CounterVec
	auditFailures    prometheus.Counter
	auditLast        *prometheus.GaugeVec
	auditPass        prometheus.Gauge
	auditPassSeconds prometheus.Gauge

	outboxRows, relayLag prometheus.Gauge
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		writes: counters("onhand_writes_total", "Writes asked for, by what they are and how they ended: done, replayed, refused (a business reason) or failed.", "write", "outcome"),
		batchWrites: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "onhand_write_batch_writes", Help: "Writes in one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		batchSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "onhand_write_batch_seconds", Help: "How long one transaction took, by how it ended: committed or failed.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"outcome"}),
		auditProducts:    counter("onhand_audit_products_total", "Products that the audit beside the service has compared."),
		auditDifferences: counters("onhand_audit_differences_total", "Differences the audit beside the service has found, each once in every pass.", "kind"),
		auditFailures:    counter("onhand_audit_failures_total", "Steps of the audit that could not be carried out."),
		auditLast:        prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "onhand_audit_last_pass_differences", Help: "Differences found in the last whole pass over all products."}, []string{"kind"}),
		auditPass:        gauge("onhand_audit_last_pass_timestamp_seconds", "When the last whole pass ended; 0 before the first."),
		auditPassSeconds: gauge("onhand_audit_last_pass_duration_seconds", "How long the last whole pass took."),
		outboxRows:       gauge("onhand_outbox_rows", "Changes that the relay has not carried to Redis yet."),
		relayLag:         gauge("onhand_relay_lag_seconds", "How long the oldest change in the outbox has been seen to wait."),
	}
	m.holdsDone = m.writes.WithLabelValues(reflect.TypeFor[models.Reserve]().Name(), writeDone)
	for _, kind := range auditKinds {
		m.auditDifferences.WithLabelValues(string(kind))
		m.auditLast.WithLabelValues(string(kind))
	}
	return m
}

// ran counts one transaction.
func (m *metrics) ran(writes int, took time.Duration, err error) {
	outcome := "committed"
	if err != nil {
		outcome = "failed"
	}
	m.batchWrites.Observe(float64(writes))
	m.batchSeconds.WithLabelValues(outcome).Observe(took.Seconds())
}

// writeDone is the outcome of a write that did what it was asked for.
const writeDone = "done"

// wrote counts one write.
func (m *metrics) wrote(write models.Write, result models.WriteResult, err error) {
	outcome := writeDone
	switch {
	case err != nil:
		outcome = "failed"
	case result.Replayed:
		outcome = "replayed"
	case len(result.Errors) > 0 && result.Reservation == nil && len(result.Stocks) == 0:
		outcome = "refused"
	}
	if _, hold := write.(models.Reserve); hold && outcome == writeDone {
		m.holdsDone.Inc()
		return
	}
	m.writes.WithLabelValues(reflect.TypeOf(write).Name(), outcome).Inc()
}

// Collectors are the store's metrics, to be registered with a registry of the
// caller's. Collecting them asks neither database nor Redis.
func (s *Store) Collectors() []prometheus.Collector {
	m := s.metrics
	list := []prometheus.Collector{
		m.writes, m.batchWrites, m.batchSeconds, m.auditProducts, m.auditDifferences, m.auditFailures, m.auditLast,
		m.auditPass, m.auditPassSeconds, m.outboxRows, m.relayLag,
	}
	counter := func(name, help string, read func() int64) {
		list = append(list, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
	}
	gauge := func(name, help string, read func() int) {
		list = append(list, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
	}
	counter("onhand_cache_hits_total", "Products read from Redis.", func() int64 { return s.cache.Stats().Hits })
	counter("onhand_cache_negative_hits_total", "Products that Redis knew to be unknown.", func() int64 { return s.cache.Stats().NegativeHits })
	counter("onhand_cache_misses_total", "Products that Redis did not have.", func() int64 { return s.cache.Stats().Misses })
	counter("onhand_cache_fills_total", "Products filled into Redis after a read.", func() int64 { return s.cache.Stats().Fills })
	counter("onhand_cache_applies_total", "Changed products told to Redis.", func() int64 { return s.cache.Stats().Applies })
	counter("onhand_redis_round_trips_total", "Pipelines sent to Redis.", func() int64 { return s.cache.Stats().RoundTrips })
	counter("onhand_redis_failures_total", "Pipelines that Redis did not answer in time.", func() int64 { return s.cache.Stats().Failures })
	counter("onhand_redis_refusals_total", "Calls that the open circuit breaker answered.", func() int64 { return s.cache.Stats().Refusals })
	gauge("onhand_redis_up", "1 while calls are let through to Redis.", func() int { return one(s.cache.Healthy()) })
	counter("onhand_database_reads_total", "SELECTs for stock.", s.database.Reads)
	gauge("onhand_database_connections", "Open connections to the database.", func() int { return s.database.Connections().OpenConnections })
	gauge("onhand_database_connections_in_use", "Connections at work.", func() int { return s.database.Connections().InUse })
	counter("onhand_database_connection_waits_total", "Times somebody waited for a connection.", func() int64 { return s.database.Connections().WaitCount })
	gauge("onhand_writes_waiting", "Writes in line for the next transaction.", func() int { waiting, _ := s.writes.Waiting(); return waiting })
	gauge("onhand_writes_blocked", "Writes that wait for rows which another transaction has locked.", func() int { _, blocked := s.writes.Waiting(); return blocked })
	for result, count := range map[string]func(database.OptimisticBatches) int64{
		"committed": func(b database.OptimisticBatches) int64 { return b.Committed },
		"refused":   func(b database.OptimisticBatches) int64 { return b.Refused },
		"failed":    func(b database.OptimisticBatches) int64 { return b.Failed },
		"discarded": func(b database.OptimisticBatches) int64 { return b.Discarded },
	} {
		list = append(list, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "onhand_optimistic_batches_total",
			Help:        "Optimistic batches by how they ended: committed, refused (a product had changed, or a key was used before), failed (any other error), discarded (never sent). Their reservations are then decided under lock, or answered UNAVAILABLE when there was no answer in time.",
			ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(count(s.database.OptimisticBatches())) }))
	}
	counter("onhand_relay_drained_total", "Outbox rows that the relay has drained.", func() int64 { return s.relay.Stats().Drained })
	counter("onhand_relay_published_total", "Products that the relay has published to Redis.", func() int64 { return s.relay.Stats().Published })
	counter("onhand_relay_failures_total", "Rounds of the relay that failed.", func() int64 { return s.relay.Stats().Failures })
	gauge("onhand_relay_poison_products", "Changed products whose rows cannot be read.", func() int { return int(s.relay.Stats().PoisonProducts) })
	gauge("onhand_watches", "Subscriptions.", func() int { return s.hub.Stats().Watches })
	gauge("onhand_watched_products", "Products that somebody watches.", func() int { return s.hub.Stats().Products })
	counter("onhand_feed_messages_total", "Messages that came from Redis.", func() int64 { return s.hub.Stats().Messages })
	gauge("onhand_feed_connected", "1 while the feed hears Redis.", func() int { return one(s.hub.Connected()) })
	return list
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
