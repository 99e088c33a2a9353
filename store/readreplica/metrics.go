package readreplica

import "github.com/prometheus/client_golang/prometheus"

// Collectors returns the metrics of the replica. Without one they are zero.
func (r *ReplicaReader) Collectors() (list []prometheus.Collector) {
	for _, why := range fallbackReasons {
		count := r.fallbacks[why]
		list = append(list, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "onhand_replica_fallbacks_total",
			Help:        "Reads of pages that the primary answered although there is a read replica: behind (it had not replayed what had committed), busy (no free connection), other (not a standby of this primary), failed (an error, or no answer), refused (bad input, or a row that cannot be read), resting (it failed before), slow (it had replayed all, and the read took too long), unknown (the primary did not give its position).",
			ConstLabels: prometheus.Labels{"reason": string(why)},
		}, func() float64 { return float64(count.Load()) }))
	}
	return append(list,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "onhand_replica_reads_total", Help: "Reads of pages that the read replica answered.",
		}, func() float64 { return float64(r.replied.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "onhand_replica_up", Help: "1 while the read replica answers reads of pages; 0 also without one.",
		}, func() float64 {
			if r.resting.Load() {
				return 0
			}
			return 1
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "onhand_replica_lag_bytes", Help: "Bytes of the primary's log that the read replica had not replayed at the last answered check.",
		}, func() float64 { return float64(r.lagBytes.Load()) }),
	)
}
