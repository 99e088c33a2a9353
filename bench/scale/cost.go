package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

// The programs as the process table names them.
const (
	serverProcess   = "onhand"
	redisProcess    = "redis-server"
	postgresProcess = "postgres"
)

// The columns of the tables.
const (
	columnRate     = "made/s"
	columnServer   = "instances, µs a reservation"
	columnRedis    = "Redis, µs"
	columnPostgres = "Postgres, µs"
	columnWAL      = "WAL, bytes"
	columnKept     = "kept in Postgres, bytes"
	columnSent     = "sent by Redis, bytes"
	columnP50      = "p50, ms"
	columnP99      = "p99, ms"
)

var costColumns = []string{columnRate, columnServer, columnRedis, columnPostgres, columnWAL, columnKept, columnSent, columnP50, columnP99}

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

// totals are the counters of the servers at one moment.
type totals struct {
	cpu          testbed.CPU
	wal          float64 // bytes
	kept         float64 // bytes of reservations and ledger, with their indexes
	sent         float64 // bytes that Redis has sent
	reservations int
}

// totals reads the counters.
func (s *shop) totals(ctx context.Context) (t totals, err error) {
	err = s.admin.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, (SELECT count(*) FROM reservations),
		pg_total_relation_size('reservations') + pg_total_relation_size('ledger_rows') + pg_total_relation_size('ledger_chunks')`).
		Scan(&t.wal, &t.reservations, &t.kept)
	if err != nil {
		return t, err
	}
	if t.sent, err = testbed.RedisFigure(ctx, s.redis, "stats", "total_net_output_bytes"); err != nil {
		return t, err
	}
	t.cpu = testbed.CPUTimes()
	return t, nil
}

// costs measures what one reservation costs, at a rate. addresses are the instances that take them.
func (c *scaleCommand) costs(ctx context.Context, s *shop, addresses []string, rate float64) (_ []float64, err error) {
	const callers = scheduledCallers
	pool, err := loadgen.DialPool(addresses, callers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if _, err := s.admin.Exec(ctx, "CHECKPOINT"); err != nil {
		return nil, err
	}
	reserve := pool.Reserve(s.baskets)
	if _, err := loadgen.Run(loadgen.Params{Callers: callers, Length: c.warm}, "warm", reserve); err != nil {
		return nil, errors.Join(err, s.failure())
	}
	runtime.GC() // the garbage of one turn is not collected in the next
	before, err := s.totals(ctx)
	if err != nil {
		return nil, err
	}
	times := &schedule{rate: rate, begin: time.Now()}
	m, err := loadgen.Run(loadgen.Params{Callers: callers, Length: c.Length}, "scale", times.call(reserve))
	if err != nil {
		return nil, errors.Join(err, s.failure())
	}
	after, err := s.totals(ctx)
	if err != nil {
		return nil, err
	}
	if made := after.reservations - before.reservations; made != m.Acknowledged {
		return nil, fmt.Errorf("%d reservations were acknowledged, and %d are stored", m.Acknowledged, made)
	}
	calls := float64(max(m.Acknowledged, 1))
	micros := func(program string) float64 {
		return float64((after.cpu[program] - before.cpu[program]).Microseconds()) / calls
	}
	latency := times.latency.Drain()
	return []float64{
		calls / c.Length.Seconds(), micros(serverProcess), micros(redisProcess), micros(postgresProcess),
		(after.wal - before.wal) / calls, (after.kept - before.kept) / calls, (after.sent - before.sent) / calls,
		latency.Percentile(50).Seconds() * 1000, latency.Percentile(99).Seconds() * 1000,
	}, ctx.Err()
}
