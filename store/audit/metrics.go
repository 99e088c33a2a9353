package audit

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// samplerMetrics are what a Sampler counts.
type samplerMetrics struct {
	products    prometheus.Counter
	differences *prometheus.CounterVec
	repairs     prometheus.Counter
	failures    prometheus.Counter
	lastPass    *prometheus.GaugeVec
	passEnd     prometheus.Gauge
	passSeconds prometheus.Gauge

	outboxRows, relayLag prometheus.Gauge

	repaired atomic.Int64 // as repairs, for reports
}

func newSamplerMetrics() *samplerMetrics {
	counter := func(name, help string) prometheus.CounterOpts { return prometheus.CounterOpts{Name: name, Help: help} }
	gauge := func(name, help string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Name: name, Help: help} }
	m := &samplerMetrics{
		products:    prometheus.NewCounter(counter("onhand_audit_products_total", "Products that the sampled audit has compared.")),
		differences: prometheus.NewCounterVec(counter("onhand_audit_differences_total", "Differences that this process has found, each once until it is repaired or gone."), []string{"kind"}),
		repairs:     prometheus.NewCounter(counter("onhand_redis_repairs_total", "Products that this process has repaired in Redis, because another program had written there or a change had not arrived.")),
		failures:    prometheus.NewCounter(counter("onhand_audit_failures_total", "Steps of the sampled audit, and rounds of repairs, that failed.")),
		lastPass:    prometheus.NewGaugeVec(gauge("onhand_audit_last_pass_differences", "Differences found in the last whole pass over all products."), []string{"kind"}),
		passEnd:     prometheus.NewGauge(gauge("onhand_audit_last_pass_timestamp_seconds", "When the last whole pass ended; 0 before the first.")),
		passSeconds: prometheus.NewGauge(gauge("onhand_audit_last_pass_duration_seconds", "How long the last whole pass took.")),
		outboxRows:  prometheus.NewGauge(gauge("onhand_outbox_rows", "Changes in the outbox that the relay has not drained yet.")),
		relayLag:    prometheus.NewGauge(gauge("onhand_relay_lag_seconds", "How long the oldest change in the outbox has been there, as far as this process has seen.")),
	}
	for _, kind := range kinds { // so that a rate begins at zero
		m.differences.WithLabelValues(string(kind))
		m.lastPass.WithLabelValues(string(kind))
	}
	return m
}

// repair counts repaired products.
func (m *samplerMetrics) repair(products int64) {
	m.repairs.Add(float64(products))
	m.repaired.Add(products)
}

func (m *samplerMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.products, m.differences, m.repairs, m.failures, m.lastPass, m.passEnd, m.passSeconds, m.outboxRows, m.relayLag,
	}
}
