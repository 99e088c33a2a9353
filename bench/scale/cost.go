package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"onhand/bench/loadgen"
	"onhand/bench/results"
)

// The columns of the tables. CPU times are those of one call.
const (
	columnRate     = "made/s"
	columnPages    = "pages/s"
	columnServer   = "instances, µs a reservation"
	columnPage     = "instances, µs a page"
	columnRedis    = "Redis, µs"
	columnPostgres = "Postgres, µs"
	columnPrimary  = "primary, µs"
	columnReplica  = "replica, µs"
	columnReplied  = "from the replica, %"
	columnPooler   = "pgbouncer, µs"
	columnBalancer = "haproxy, µs"
	columnWAL      = "WAL, bytes"
	columnKept     = "kept in Postgres, bytes"
	columnSent     = "sent by Redis, bytes"
	columnP50      = "p50, ms"
	columnP99      = "p99, ms"
)

// The columns of each table.
var (
	costColumns         = []string{columnRate, columnServer, columnRedis, columnPostgres, columnWAL, columnKept, columnSent, columnP50, columnP99}
	redisPageColumns    = []string{columnPages, columnPage, columnRedis, columnP50, columnP99}
	redisColumns        = []string{columnRate, columnServer, columnRedis, columnPostgres, columnSent, columnP50, columnP99}
	publishedColumns    = []string{columnAlone, columnTogether, columnCluster, columnBusiest}
	poolerColumns       = []string{columnRate, columnServer, columnPooler, columnPostgres, columnP50, columnP99}
	balancedPageColumns = []string{columnPages, columnPage, columnBalancer, columnP50, columnP99}
	balancedColumns     = []string{columnRate, columnServer, columnBalancer, columnRedis, columnPostgres, columnP50, columnP99}
	replicaColumns      = []string{columnPages, columnPage, columnPrimary, columnReplica, columnReplied, columnP50, columnP99}
)

// keyPrefix makes idempotency keys as long as those of a caller without a token must be.
const keyPrefix = "bench-scale-reservations-of"

// schedule has calls made at a rate. The calls of a slow server are late, not fewer, and a latency counts from the moment
// at which the call was due.
type schedule struct {
	rate    float64 // calls a second; 0: as fast as they are answered
	begin   time.Time
	made    atomic.Int64
	latency loadgen.Histogram
}

// call is a call of a loadgen turn that keeps to the schedule.
func (s *schedule) call(call func(*loadgen.Worker) error) func(*loadgen.Worker) error {
	return func(w *loadgen.Worker) error {
		due := time.Now()
		if s.rate > 0 {
			due = s.begin.Add(time.Duration(float64(s.made.Add(1)-1) / s.rate * float64(time.Second)))
			if wait := time.Until(due); wait > 0 {
				select {
				case <-time.After(wait):
				case <-w.Turn.Done():
					return loadgen.ErrOver
				}
			}
		}
		err := call(w)
		if err == nil {
			s.latency.Add(time.Since(due))
		}
		return err
	}
}

// figures are those of one turn, by column.
type figures map[string]float64

// of lists them in the order of columns.
func (f figures) of(columns []string) (list []float64) {
	for _, column := range columns {
		list = append(list, f[column])
	}
	return list
}

// load is how often a turn calls: callers at once, and calls a second, 0 for as many as are answered.
type load struct {
	callers int
	rate    float64
	warm    time.Duration
	length  time.Duration
}

// measured is what a turn measured.
type measured struct {
	figures
	before, after totals
	calls, all    int // measured; with the warm-up
}

// turn warms up, then measures calls of a way.
func (w way) turn(ctx context.Context, l load, call func(*loadgen.Worker) error) (m measured, err error) {
	if _, err = w.admin.Exec(ctx, "CHECKPOINT"); err != nil {
		return m, err
	}
	warm := &schedule{} // as fast as they are answered: after the checkpoint each page is written to the WAL in full once
	if _, err = loadgen.Run(loadgen.Params{Callers: l.callers, Length: l.warm}, keyPrefix, warm.call(call)); err != nil {
		return m, errors.Join(err, w.failure())
	}
	runtime.GC() // the garbage of one turn is not collected in the next
	if m.before, err = w.totals(ctx); err != nil {
		return m, err
	}
	times := &schedule{rate: l.rate, begin: time.Now()}
	if _, err = loadgen.Run(loadgen.Params{Callers: l.callers, Length: l.length}, keyPrefix, times.call(call)); err != nil {
		return m, errors.Join(err, w.failure())
	}
	if m.after, err = w.totals(ctx); err != nil {
		return m, err
	}
	m.summarise(times.latency.Drain(), l.length)
	m.all = m.calls + warm.latency.Drain().Count
	return m, ctx.Err()
}

// summarise makes the figures of one call.
func (m *measured) summarise(latency *loadgen.Snapshot, length time.Duration) {
	m.calls = latency.Count
	micros := func(spent time.Duration) float64 { return float64(spent.Microseconds()) / float64(max(m.calls, 1)) }
	program := func(name string) float64 { return micros(m.after.programs[name] - m.before.programs[name]) }
	instances, rate := micros(m.after.instances-m.before.instances), float64(m.calls)/length.Seconds()
	m.figures = figures{
		columnRate: rate, columnPages: rate, columnServer: instances, columnPage: instances,
		columnRedis: micros(m.after.redis - m.before.redis), columnPostgres: micros(m.after.postgres - m.before.postgres),
		columnPrimary: micros(m.after.postgres - m.before.postgres), columnReplica: micros(m.after.replica - m.before.replica), columnPooler: program("pgbouncer"), columnBalancer: program("haproxy"),
		columnP50: latency.Percentile(50).Seconds() * 1000, columnP99: latency.Percentile(99).Seconds() * 1000,
	}
}

// reserve measures what one reservation of one of the baskets costs.
func (w way) reserve(ctx context.Context, l load, baskets []loadgen.Basket) (_ figures, err error) {
	pool, err := loadgen.DialPool(w.called, l.callers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	m, err := w.turn(ctx, l, pool.Reserve(baskets))
	if err != nil {
		return nil, err
	}
	if made := m.after.reservations - m.before.reservations; made != m.calls {
		return nil, fmt.Errorf("%d reservations were acknowledged, and %d are stored", m.calls, made)
	}
	calls := float64(max(m.calls, 1))
	m.figures[columnWAL], m.figures[columnKept] = (m.after.wal-m.before.wal)/calls, (m.after.kept-m.before.kept)/calls
	m.figures[columnSent] = (m.after.sent - m.before.sent) / calls
	return m.figures, nil
}

// costs measures one line of a table of reservations, at a rate.
func (c *scaleCommand) costs(ctx context.Context, g *results.Growth, size int, w way, rate float64) error {
	f, err := w.reserve(ctx, load{callers: scheduledCallers, rate: rate, warm: c.warm, length: c.Length}, w.baskets)
	if err == nil {
		g.Add(size, f.of(g.Columns)...)
	}
	return err
}
