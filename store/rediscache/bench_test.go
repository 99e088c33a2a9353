package rediscache

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

func BenchmarkDecodeHash(b *testing.B) {
	hash := hashOf(stockAt("p", epoch, 7))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeHash(hash); err != nil { // require would cost more than the call
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
			b.Run("get250", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, err := c.Get(b.Context(), epoch, names)
					require.NoError(b, err)
				}
			})
		})
	}
}
