package rediscache

import (
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/stockbinary"
	"onhand/store/storetest"
)

func BenchmarkDecodeHash(b *testing.B) {
	reply, decoder := replyOf(stockAt("p", epoch, 7)), &stockbinary.Decoder{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hashOf(reply).decode(decoder); err != nil { // require would cost more than the call
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	server, err := storetest.StartRedis()
	require.NoError(b, err)
	defer server.Close()
	embedded := miniredis.RunT(b)
	for name, url := range map[string]string{"redis": server.URL(), "embedded": "redis://" + embedded.Addr()} {
		b.Run(name, func(b *testing.B) {
			reader, writer, err := NewClients(url, generous)
			require.NoError(b, err)
			defer reader.Close()
			defer writer.Close()
			c := New(CacheConfig{Reader: reader, Writer: writer, Timeout: generous})
			stocks := make([]*models.Stock, 250)
			names := ids(len(stocks))
			var version int64
			b.Run("apply250", func(b *testing.B) {
				for b.Loop() {
					version++
					for i, id := range names {
						stocks[i] = stockAt(id, epoch, version)
					}
					require.NoError(b, c.Apply(b.Context(), stocks))
				}
			})
			b.Run("get20", func(b *testing.B) {
				b.ReportAllocs()
				before := cpuTime()
				for b.Loop() {
					_, err := c.Get(b.Context(), epoch, names[:20])
					require.NoError(b, err)
				}
				b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
			})
			b.Run("get250", func(b *testing.B) {
				b.ReportAllocs()
				before := cpuTime()
				for b.Loop() {
					_, err := c.Get(b.Context(), epoch, names)
					require.NoError(b, err)
				}
				b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
			})
		})
	}
}

// cpuTime is what this process has used so far, the server excluded.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
