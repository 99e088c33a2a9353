package store

import (
	"context"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/models/owner"
	"onhand/store/database"
	"onhand/store/nearcache"
	"onhand/tracing"
)

// metrics are what the store counts itself. All other metrics are read from the
// components when they are collected.
type metrics struct {
	writes       *prometheus.CounterVec
	refusals     *prometheus.CounterVec
	reserved     prometheus.Counter // of writes, the most frequent one; kept, because a look-up by labels costs each write
	otherWrites  atomic.Int64       // writes of other types that took effect
	transactions atomic.Int64
	holders      holderMetrics
	batchWrites  prometheus.Histogram
	batchSeconds *prometheus.HistogramVec
}

func newMetrics() *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		writes:   counters("onhand_writes_total", "Writes, by their type and how they ended: done, replayed, refused (for a business reason) or failed.", "write", "outcome"),
		refusals: counters("onhand_write_refusals_total", "Business errors in the answers of writes, by code.", "code"),
		batchWrites: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "onhand_write_batch_writes", Help: "Writes in one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		batchSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "onhand_write_batch_duration_seconds", Help: "How long one transaction took, by how it ended: committed or failed.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"outcome"}),
	}
	for _, code := range refusalCodes {
		m.refusals.WithLabelValues(string(code)) // a rate needs the zero before the first one
	}
	for _, outcome := range []string{transactionCommitted, transactionFailed} {
		m.batchSeconds.WithLabelValues(outcome)
	}
	m.holders = newHolderMetrics()
	m.reserved = m.writes.WithLabelValues(reserveName, writeDone)
	return m
}

// refusalCodes are the codes of business errors.
var refusalCodes = []models.ErrorCode{
	models.ErrorInsufficientStock, models.ErrorQuantityLimitExceeded, models.ErrorStaleQuantity, models.ErrorSupersededCount, models.ErrorReservationNotActive,
	models.ErrorConcurrentRequest, models.ErrorKeyParameterMismatch, models.ErrorNotAfterPassed, models.ErrorNotFound, models.ErrorInvalidInput,
}

// How a transaction ended.
const transactionCommitted, transactionFailed = "committed", "failed"

// transaction counts one transaction. ctx has its span, if it is recorded.
func (m *metrics) transaction(ctx context.Context, sent database.SentTransaction) {
	outcome := transactionCommitted
	if sent.Err != nil {
		outcome = transactionFailed
	}
	m.transactions.Add(1)
	m.batchWrites.Observe(float64(sent.Writes))
	seconds := m.batchSeconds.WithLabelValues(outcome)
	if id := tracing.TraceID(ctx); id != "" {
		seconds.(prometheus.ExemplarObserver).ObserveWithExemplar(sent.Took.Seconds(), prometheus.Labels{"trace_id": id})
		return
	}
	seconds.Observe(sent.Took.Seconds())
}

// writeName names a write in metrics and spans.
func writeName(write models.Write) string { return reflect.TypeOf(write).Name() }

// reserveName is the label of a reservation.
var reserveName = reflect.TypeFor[models.Reserve]().Name()

// writeDone is the outcome of a write that did what it was asked for.
const writeDone = "done"

// wrote counts one write.
func (m *metrics) wrote(write models.Write, result models.WriteResult, err error) {
	m.holders.wrote(write, result)
	for _, refusal := range result.Errors {
		m.refusals.WithLabelValues(string(refusal.Code())).Inc()
	}
	outcome := writeDone
	switch {
	case err != nil:
		outcome = "failed"
	case result.Replayed:
		outcome = "replayed"
	case len(result.Errors) > 0 && result.Reservation == nil && len(result.Stocks) == 0:
		outcome = "refused"
	}
	if _, reserve := write.(models.Reserve); reserve && outcome == writeDone {
		m.reserved.Inc()
		return
	}
	if outcome == writeDone {
		m.otherWrites.Add(1)
	}
	m.writes.WithLabelValues(writeName(write), outcome).Inc()
}

// done counts the writes that took effect, and the reservations among them.
func (m *metrics) done() (writes, reservations float64) {
	reserved := &dto.Metric{}
	if err := m.reserved.Write(reserved); err != nil {
		return 0, 0 // a counter has no reason to fail
	}
	reservations = reserved.GetCounter().GetValue()
	return reservations + float64(m.otherWrites.Load()), reservations
}

// Collectors returns the store's metrics, for a registry of the caller's.
// Collecting them asks neither database nor Redis.
func (s *Store) Collectors() []prometheus.Collector {
	m := s.metrics
	return slices.Concat(
		[]prometheus.Collector{m.writes, m.refusals, m.batchWrites, m.batchSeconds, m.holders.events, m.holders.refusals},
		s.sampler.Collectors(), s.replicaReads.Collectors(), s.optimisticBatches(), s.nearCacheDrops(), s.counters(), s.gauges(),
	)
}

// optimisticBatches counts the optimistic batches by how they ended.
func (s *Store) optimisticBatches() (list []prometheus.Collector) {
	for outcome, count := range map[string]func(database.OptimisticBatches) int64{
		"committed": func(b database.OptimisticBatches) int64 { return b.Committed },
		"refused":   func(b database.OptimisticBatches) int64 { return b.Refused },
		"failed":    func(b database.OptimisticBatches) int64 { return b.Failed },
		"discarded": func(b database.OptimisticBatches) int64 { return b.Discarded },
	} {
		list = append(list, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "onhand_optimistic_batches_total",
			Help:        "Optimistic batches by how they ended: committed, refused (a product had changed, or a key was used before), failed (any other error), discarded (never sent). Their reservations are then decided under lock, or answered UNAVAILABLE when there was no answer in time.",
			ConstLabels: prometheus.Labels{"outcome": outcome},
		}, func() float64 { return float64(count(s.database.OptimisticBatches())) }))
	}
	return list
}

// nearCacheDrops counts what the near cache dropped, by reason.
func (s *Store) nearCacheDrops() (list []prometheus.Collector) {
	for _, reason := range nearcache.DropReasons() {
		list = append(list, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "onhand_near_cache_drops_total",
			Help:        "Products that the near cache dropped: evicted (for room), disconnected (its feed was lost), epoch (a new epoch), bypass (Redis was away), unpublished (Redis missed a commit), poison (a row that cannot be read), unreadable (a message that is not a stock).",
			ConstLabels: prometheus.Labels{"reason": reason},
		}, func() float64 { return float64(s.near.Stats().Drops[reason]) }))
	}
	return list
}

// counters are the counters that components keep.
func (s *Store) counters() (list []prometheus.Collector) {
	counter := func(name, help string, read func() int64) {
		list = append(list, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
	}
	counter("onhand_near_cache_hits_total", "Products read from the near cache.", func() int64 { return s.near.Stats().Hits })
	counter("onhand_near_cache_misses_total", "Products that the near cache did not have, or could not serve because its feed was late.", func() int64 { return s.near.Stats().Misses })
	counter("onhand_near_cache_fills_total", "Products that a read put into the near cache.", func() int64 { return s.near.Stats().Fills })
	counter("onhand_near_cache_messages_total", "Messages received by the near cache.", func() int64 { return s.near.Stats().Messages })
	counter("onhand_near_cache_connections_total", "How often the feed of the near cache was connected.", func() int64 { return s.near.Stats().Connections })
	counter("onhand_cache_hits_total", "Products read from Redis.", func() int64 { return s.cache.Stats().Hits })
	counter("onhand_cache_negative_hits_total", "Products that Redis had as unknown (negative entries).", func() int64 { return s.cache.Stats().NegativeHits })
	counter("onhand_cache_misses_total", "Products that Redis did not have.", func() int64 { return s.cache.Stats().Misses })
	counter("onhand_unknown_reads_total", "Ids that this instance does not know to be products, read from the database apart from all others.", s.reader.UnknownReads)
	counter("onhand_cache_fills_total", "Products filled into Redis after a read.", func() int64 { return s.cache.Stats().Fills })
	counter("onhand_cache_applies_total", "Changed products sent to Redis.", func() int64 { return s.cache.Stats().Applies })
	counter("onhand_redis_round_trips_total", "Pipelines sent to Redis.", func() int64 { return s.cache.Stats().RoundTrips })
	counter("onhand_redis_failures_total", "Pipelines that Redis did not answer in time.", func() int64 { return s.cache.Stats().Failures })
	counter("onhand_redis_refusals_total", "Calls that the open circuit breaker answered.", func() int64 { return s.cache.Stats().Refusals })
	counter("onhand_database_reads_total", "SELECTs for stock.", s.database.Reads)
	counter("onhand_database_connection_waits_total", "Waits for a free connection to the database.", func() int64 { return s.database.Connections().WaitCount })
	counter("onhand_relay_drained_rows_total", "Outbox rows that the relay has drained.", func() int64 { return s.relay.Stats().Drained })
	counter("onhand_relay_published_products_total", "Products that the relay has published to Redis.", func() int64 { return s.relay.Stats().Published })
	counter("onhand_relay_failures_total", "Rounds of the relay that failed.", func() int64 { return s.relay.Stats().Failures })
	counter("onhand_feed_messages_total", "Messages received from Redis.", func() int64 { return s.hub.Stats().Messages })
	return list
}

// gauges are the gauges that components keep.
func (s *Store) gauges() (list []prometheus.Collector) {
	gauge := func(name, help string, read func() int) {
		list = append(list, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
	}
	gauge("onhand_near_cache_entries", "Products in the near cache.", func() int { return int(s.near.Stats().Entries) })
	gauge("onhand_near_cache_bytes", "Memory of the products in the near cache.", func() int { return int(s.near.Stats().Bytes) })
	gauge("onhand_near_cache_fresh", "1 while the near cache may serve: Redis answers the pings of its feed.", func() int { return one(s.near.Stats().Fresh) })
	gauge("onhand_redis_up", "1 while calls are let through to Redis.", func() int { return one(s.cache.Healthy()) })
	gauge("onhand_database_up", "1 while the database answers the epoch check, which asks every second.", func() int { return one(!s.outage.Lasts()) })
	gauge("onhand_database_connections", "Open connections to the database.", func() int { return s.database.Connections().OpenConnections })
	gauge("onhand_database_connections_in_use", "Connections to the database in use.", func() int { return s.database.Connections().InUse })
	gauge("onhand_writes_waiting", "Writes that wait for the next transaction.", func() int { waiting, _ := s.writes.Waiting(); return waiting })
	gauge("onhand_writes_blocked", "Writes that wait for rows which another transaction has locked.", func() int { _, blocked := s.writes.Waiting(); return blocked })
	gauge("onhand_relay_listening", "1 while the database notifies this instance of changes by outside writers; else the relay polls.", func() int { return one(s.relay.Stats().Listening) })
	gauge("onhand_relay_poison_products", "Changed products whose rows cannot be read.", func() int { return int(s.relay.Stats().PoisonProducts) })
	gauge("onhand_watches", "Subscriptions.", func() int { return s.hub.Stats().Watches })
	gauge("onhand_watched_products", "Products with a subscription.", func() int { return s.hub.Stats().Watched })
	gauge("onhand_feed_connected", "1 while the hub is connected to Redis.", func() int { return one(s.hub.Connected()) })
	return list
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// holderMetrics count by class of holder: a class that reserves much and orders little
// hoards.
type holderMetrics struct {
	events   *prometheus.CounterVec
	refusals *prometheus.CounterVec
	reserved map[owner.HolderClass]prometheus.Counter // of events; kept, because reservations are the most frequent writes
}

func newHolderMetrics() holderMetrics {
	m := holderMetrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "onhand_holder_reservations_total",
			Help: "Reservations made (event reserved) and turned into orders (event ordered), by class of holder: subject, ownerRef, address or none. The ratio of both shows who hoards.",
		}, []string{"holder", "event"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "onhand_holder_refusals_total", Help: "Refusals by a limit of a holder, by code of the error; QUANTITY_LIMIT_EXCEEDED is a limit of a product for each owner.",
		}, []string{"code"}),
		reserved: map[owner.HolderClass]prometheus.Counter{},
	}
	for _, class := range []owner.HolderClass{owner.SubjectClass, owner.OwnerRefClass, owner.AddressClass, owner.NoClass} {
		m.reserved[class] = m.events.WithLabelValues(string(class), "reserved")
		m.events.WithLabelValues(string(class), "ordered")
	}
	for _, code := range []models.ErrorCode{
		holderlimits.TooManyReservations, holderlimits.TooManyUnits, holderlimits.ShareTooLarge, holderlimits.TooManyExtensions, holderlimits.ReservedTooLong,
		models.ErrorQuantityLimitExceeded,
	} {
		m.refusals.WithLabelValues(string(code))
	}
	return m
}

// limitsHolder reports whether an error refuses what a holder has too much of. A limit of a product for each owner has a
// period; one for each reservation has none, and does not count.
func limitsHolder(err models.UserError) bool {
	switch e := err.(type) {
	case holderlimits.LimitError:
		return true
	case models.QuantityLimitExceededError:
		return e.PeriodSeconds != nil
	}
	return false
}

// wrote counts one write.
func (m *holderMetrics) wrote(write models.Write, result models.WriteResult) {
	for _, err := range result.Errors {
		if limitsHolder(err) {
			m.refusals.WithLabelValues(string(err.Code())).Inc()
		}
	}
	if result.Replayed || result.Reservation == nil {
		return
	}
	switch w := write.(type) {
	case models.Reserve:
		m.reserved[result.Reservation.Holder.Class()].Inc()
	case models.Resolve:
		if w.To == models.ReservationCommitted && len(result.Errors) == 0 {
			m.events.WithLabelValues(string(result.Reservation.Holder.Class()), "ordered").Inc()
		}
	}
}
