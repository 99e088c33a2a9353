package readreplica

import "github.com/prometheus/client_golang/prometheus"

// Collectors returns the metrics of the replicas. Without any, they are those of one without
// a host, and zero.
func (r *ReplicaReader) Collectors() (list []prometheus.Collector) {
	for _, why := range fallbackReasons {
		count := r.fallbacks[why]
		list = append(list, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "onhand_replica_fallbacks_total",
			Help:        "Reads of pages that the primary answered although there is a read replica: behind (it had not replayed what had committed), not_flushed (the primary had not flushed that to its disk, so no replica can have it), busy (no free connection), not_standby (not a standby of this primary), failed (an error, or no answer), refused (bad input, or a row that cannot be read), breaker_open (the circuit breaker of each replica is open, or lets one read at a time through), slow (it had replayed all, and the read took too long), no_position (the primary did not give its position).",
			ConstLabels: prometheus.Labels{"reason": string(why)},
		}, func() float64 { return float64(count.Load()) }))
	}
	if len(r.breakers) == 0 {
		return append(list, (&breaker{}).collectors("")...)
	}
	for _, b := range r.breakers {
		list = append(list, b.collectors(b.replica.Address())...)
	}
	return list
}

// collectors are the metrics of one replica. There are HostsMax hosts at most.
func (b *breaker) collectors(host string) []prometheus.Collector {
	labels := prometheus.Labels{"host": host}
	return []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "onhand_replica_reads_total", Help: "Reads of pages that the read replica answered, by its host.", ConstLabels: labels,
		}, func() float64 { return float64(b.replied.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "onhand_replica_up", Help: "1 while the read replica can answer reads of pages, by its host: the first such host of DATABASE_READ_URL answers. 0 also without one.", ConstLabels: labels,
		}, func() float64 {
			if b.isOpen() {
				return 0
			}
			return 1
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "onhand_replica_lag_bytes", Help: "Bytes of the primary's log that the read replica had not replayed at the last answered check, by its host.", ConstLabels: labels,
		}, func() float64 { return float64(b.lagBytes.Load()) }),
	}
}
