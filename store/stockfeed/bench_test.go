package stockfeed

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models/stockbinary"
)

// BenchmarkMessage measures what one message costs the goroutine that reads the
// connection, by the number of watches of its product.
func BenchmarkMessage(b *testing.B) {
	for _, watches := range []int{1, 1000, watchesMaxDefault} {
		b.Run(fmt.Sprint(watches), func(b *testing.B) {
			h := NewHub(hubConfig(newFakeDatabase()))
			defer h.Stop()
			for range watches {
				w, err := h.WatchStock(b.Context(), []string{"a"})
				require.NoError(b, err)
				defer w.Close()
			}
			version := int64(0)
			for b.Loop() {
				version++
				h.message(channelOf("a"), string(stockbinary.Encode(stockAt("a", epoch, version)).Message()), false)
			}
		})
	}
}
