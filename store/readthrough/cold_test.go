package readthrough

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/store/storetest/fixture"
)

// BenchmarkCold reads 10,000 products that Redis does not have, 20 a request, by 64
// callers. One operation is one request.
func BenchmarkCold(b *testing.B) {
	const products, callers, size = 10_000, 64, 20
	s := fixture.Postgres(b)
	ids := fixture.Numbered(products)
	s.StockUp(b, 5, ids...)
	epoch := stackEpoch(s.Epoch(b))
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		b.StopTimer()
		require.NoError(b, s.Redis.FlushAll(b.Context()).Err())
		r := NewCachedReader(NewBisector(s.Database, epoch), s.Cache, epoch, nil, slog.New(slog.DiscardHandler))
		round := min(products/size, b.N-done)
		var next atomic.Int64
		var wg sync.WaitGroup
		b.StartTimer()
		for range callers {
			wg.Go(func() {
				for {
					n := int(next.Add(1))
					if n > round {
						return
					}
					if _, err := r.Stocks(b.Context(), ids[(n-1)*size:n*size]); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		done += round
	}
}
