package readthrough

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/store/storetest/fixture"
)

// BenchmarkFlood reads products that are in no cache while 32 callers ask for made-up ids
// at full speed: without a filter of known ids, with it, and without the flood.
func BenchmarkFlood(b *testing.B) {
	const products = 1500
	for _, c := range []struct {
		name    string
		callers int
		knows   bool
	}{{"no flood", 0, true}, {"all ids alike", 32, false}, {"unknown apart", 32, true}} {
		b.Run(c.name, func(b *testing.B) {
			s := fixture.Postgres(b)
			names := fixture.Numbered(products)
			s.StockUp(b, 5, names...)
			r := newKnowingReader(b, s)
			if !c.knows {
				r = NewCachedReader(r.database, s.Cache, r.epochs, nil, slog.New(slog.DiscardHandler))
			}
			require.NoError(b, s.Redis.FlushAll(b.Context()).Err())
			ctx, stop := context.WithCancel(b.Context())
			var flood sync.WaitGroup
			var asked, refused atomic.Int64
			for range c.callers {
				flood.Go(func() {
					for ctx.Err() == nil {
						ids := make([]string, 100)
						for i := range ids {
							ids[i] = madeUp()
						}
						if _, err := r.Stocks(ctx, ids); err != nil {
							refused.Add(1)
						}
						asked.Add(100)
					}
				})
			}
			selects, began := s.Database.Reads(), time.Now()
			var waits []time.Duration
			for _, id := range names {
				sent := time.Now()
				found, err := r.Stocks(ctx, []string{id})
				require.NoError(b, err)
				require.NotNil(b, found[0])
				waits = append(waits, time.Since(sent))
				time.Sleep(time.Millisecond)
			}
			elapsed := time.Since(began).Seconds()
			keys := s.Redis.DBSize(ctx).Val()
			stop()
			flood.Wait()
			slices.Sort(waits)
			b.ReportMetric(float64(asked.Load())/elapsed, "unknown/s")
			b.ReportMetric(float64(s.Database.Reads()-selects)/elapsed, "SELECT/s")
			b.ReportMetric(float64(waits[products/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(waits[products*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(keys), "keys")
			b.ReportMetric(float64(refused.Load())/elapsed, "refused/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
