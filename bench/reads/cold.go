package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"onhand/bench/loadgen"
	"onhand/bench/results"
)

// coldProducts is how many products a turn reads, each once and none of them read before.
const coldProducts = 10_000

// measureCold reads products that neither the process nor Redis has. A turn is not a time but a number of requests.
func measureCold(ctx context.Context, c *readCommand, w workload) (rounds []results.Round, err error) {
	s, err := c.openShop(ctx, c.cold*(1+c.Rounds))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.startWanted(ctx, workload{rows: []results.Row{{Ours: onhand, Beside: selectFloor}}}); err != nil {
		return nil, err
	}
	for i := range 1 + c.Rounds {
		list := w.ask.scan(i*c.cold, (i+1)*c.cold, pageLength)
		one := results.Round{oneRead: number(1)}
		for j := range s.running {
			server := s.running[(i+j)%len(s.running)]
			reads := 0.0
			if server.name == onhand {
				if reads, err = server.metric(ctx, "onhand_database_reads_total"); err != nil {
					return nil, err
				}
			}
			if one[server.name], err = c.once(w, server, list); err != nil {
				return nil, err
			}
			if server.name == onhand {
				after, err := server.metric(ctx, "onhand_database_reads_total")
				if err != nil {
					return nil, err
				}
				one[databaseReads] = number((after - reads) / float64(len(list)))
			}
		}
		if i > 0 {
			rounds = append(rounds, one)
		}
	}
	return rounds, nil
}

// scan makes requests for the products from first up to next, each once, so many a request.
func (q question) scan(first, next, length int) (list []prepared) {
	for ; first < next; first += length {
		numbers := make([]int, min(length, next-first))
		for i := range numbers {
			numbers[i] = first + i
		}
		list = append(list, q.request(numbers))
	}
	return list
}

// once sends each of the requests once, over all connections.
func (c *readCommand) once(w workload, s *server, list []prepared) (loadgen.Measurement, error) {
	var sent atomic.Int64
	callers, closeAll, err := s.dial(w.callers, func(int) func() prepared { return nil })
	if err != nil {
		return loadgen.Measurement{}, err
	}
	defer closeAll()
	return c.spent(w, s, func() (loadgen.Measurement, error) {
		var running sync.WaitGroup
		var latencies loadgen.Histogram
		failures := make([]error, len(callers))
		began := time.Now()
		for i, one := range callers {
			running.Go(func() {
				for failures[i] == nil {
					n := int(sent.Add(1)) - 1
					if n >= len(list) {
						return
					}
					one.next = func() prepared { return list[n] }
					before := time.Now()
					failures[i] = one.call(w.ask)
					latencies.Add(time.Since(before))
				}
			})
		}
		running.Wait()
		took := time.Since(began)
		snapshot := latencies.Snapshot()
		return loadgen.Measurement{
			PerSecond: float64(len(list)) / took.Seconds(), Acknowledged: len(list),
			P50: snapshot.Percentile(50), P99: snapshot.Percentile(99),
		}, errors.Join(failures...)
	})
}
