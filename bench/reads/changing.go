package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/results"
	"onhand/models"
)

const (
	// writers is how many reservations may be in flight.
	writers = 256
	// reserveEvery is the interval in which reservations are sent.
	reserveEvery = 2 * time.Millisecond
	// snapshotEvery is the precision of the age of an answer; snapshotsMax is how far back it is known.
	snapshotEvery, snapshotsMax = 10 * time.Millisecond, 400
)

// measureChanging compares reads in quiet with reads while another instance reserves the same products.
func measureChanging(ctx context.Context, c *readCommand, w workload) (rounds []results.Round, err error) {
	s, err := c.openShop(ctx, shopProducts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	reader, err := s.start(ctx, onhand)
	if err != nil {
		return nil, err
	}
	st, err := fixture.StoreFlags{Database: s.url, Redis: c.servers.Redis.URL()}.Start()
	if err != nil {
		return nil, err
	}
	defer st.Close()
	next := drawn(w.ask.prepare(s.products))
	load := loadgen.Params{Callers: w.callers, Warm: c.Warm, Length: c.Length}
	if _, err := c.turn(w, reader, load, next, nil); err != nil {
		return nil, err
	}
	sales := &sales{write: st.Write, sold: make([]atomic.Int64, s.products)}
	for i := range c.Rounds {
		one := results.Round{stalenessBound: {P50: time.Duration(stalenessBoundSeconds * float64(time.Second))}, wanted: number(reservationsWanted)}
		turns := []func() error{
			func() error { one[quiet], err = c.turn(w, reader, load, next, nil); return err },
			func() error { return c.turnWhileSelling(ctx, w, reader, load, next, sales, one) },
		}
		for j := range turns {
			if err := turns[(i+j)%len(turns)](); err != nil {
				return nil, err
			}
		}
		rounds = append(rounds, one)
	}
	return rounds, nil
}

func (c *readCommand) turnWhileSelling(ctx context.Context, w workload, reader *server, load loadgen.Params,
	next func(int) func() prepared, sales *sales, one results.Round,
) error {
	sales.oldest.Store(0)
	stop := sales.begin(ctx)
	before, began := sales.count.Load(), time.Now()
	m, err := c.turn(w, reader, load, sales.stamped(next), sales.check)
	rate := float64(sales.count.Load()-before) / time.Since(began).Seconds()
	if err = errors.Join(err, stop()); err != nil {
		return err
	}
	age := time.Duration(sales.oldest.Load())
	c.say("  %-16s %.0f reservations/s meanwhile; the oldest answer was %.0f ms old", w.name, rate, age.Seconds()*1000)
	one[changing], one[reservations], one[oldest] = m, number(rate), loadgen.Measurement{P50: age}
	return nil
}

// sales reserves one unit of each product in turn, and knows what was acknowledged when.
type sales struct {
	write  func(context.Context, models.Write) (models.WriteResult, error)
	sold   []atomic.Int64 // acknowledged units, by the number of the product
	count  atomic.Int64   // of reservations, acknowledged
	begun  atomic.Int64   // of reservations, sent
	newest atomic.Pointer[snapshot]
	oldest atomic.Int64 // the age of the oldest answer, as a time.Duration
}

// snapshot is what was acknowledged at a time.
type snapshot struct {
	at     time.Time
	sold   []int64
	before atomic.Pointer[snapshot]
}

// begin sells until it is stopped.
func (s *sales) begin(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	tokens := make(chan struct{}, reservationsWanted)
	failures := make(chan error, writers)
	running.Go(func() { s.dispatch(ctx, tokens) })
	running.Go(func() { s.remember(ctx) })
	for range writers {
		running.Go(func() {
			for range tokens {
				if err := s.reserve(ctx); err != nil {
					failures <- err
					cancel()
					return
				}
			}
		})
	}
	return func() error {
		cancel()
		running.Wait()
		close(failures)
		return <-failures // the first of them; nil when there is none
	}
}

// dispatch sends a token for each reservation, as many as are due.
func (s *sales) dispatch(ctx context.Context, tokens chan<- struct{}) {
	defer close(tokens)
	tick := time.NewTicker(reserveEvery)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := int(time.Since(began).Seconds() * reservationsWanted); sent < due; sent++ {
			select {
			case tokens <- struct{}{}:
			default: // they come too slowly; the row of their number says so
			}
		}
	}
}

func (s *sales) reserve(ctx context.Context) error {
	n := int(s.begun.Add(1))
	product := n % len(s.sold)
	result, err := s.write(context.WithoutCancel(ctx), models.Reserve{
		IdempotencyKey: "reads-" + strconv.Itoa(n), TTL: fixture.TTL,
		Lines: []models.RequestedLine{{ProductID: fixture.ShopProduct(product), Quantity: 1}},
	})
	if err != nil {
		return err
	}
	if result.Reservation == nil {
		return fmt.Errorf("a reservation was not made: %+v", result)
	}
	s.sold[product].Add(1)
	s.count.Add(1)
	return nil
}

// remember keeps what was acknowledged, for as long as an answer may be old.
func (s *sales) remember(ctx context.Context) {
	tick := time.NewTicker(snapshotEvery)
	defer tick.Stop()
	var kept []*snapshot
	for {
		one := &snapshot{at: time.Now(), sold: make([]int64, len(s.sold))}
		for i := range s.sold {
			one.sold[i] = s.sold[i].Load()
		}
		one.before.Store(s.newest.Load())
		s.newest.Store(one)
		if kept = append(kept, one); len(kept) > snapshotsMax {
			kept[1].before.Store(nil)
			kept = kept[1:]
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// stamped adds to each request the newest snapshot before it is sent.
func (s *sales) stamped(next func(int) func() prepared) func(int) func() prepared {
	return func(worker int) func() prepared {
		own := next(worker)
		return func() prepared {
			p := own()
			p.before, p.sent = s.newest.Load(), time.Now()
			return p
		}
	}
}

// check finds out how old an answer is: the oldest snapshot before the request that has sales which the answer lacks.
func (s *sales) check(p prepared, answer []byte) error {
	quantities := appendQuantities(make([]int, 0, pageLength), answer)
	if len(quantities) != len(p.numbers) {
		return fmt.Errorf("%d quantities, not %d: %.300s", len(quantities), len(p.numbers), answer)
	}
	for i, n := range p.numbers {
		shown := int64(fixture.ShopQuantity - quantities[i])
		age := time.Duration(0)
		for at := p.before; at != nil && shown < at.sold[n]; at = at.before.Load() {
			age = p.sent.Sub(at.at)
		}
		for old := s.oldest.Load(); int64(age) > old && !s.oldest.CompareAndSwap(old, int64(age)); old = s.oldest.Load() {
		}
	}
	return nil
}
