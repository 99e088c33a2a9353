package results

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGrowth: the table has a line for each size.
func TestGrowth(t *testing.T) {
	t.Parallel()
	g := Growth{Of: "products", Columns: []string{"requests/s", "p50, ms"}}
	g.Add(10_000, 12345.6, 0.51234)
	g.Add(1_000_000, 9000, 2)
	var out bytes.Buffer
	g.Print(&out)
	require.Equal(t, `
| products | requests/s | p50, ms |
|---:|---:|---:|
| 10,000 | 12,346 | 0.512 |
| 1,000,000 | 9,000 | 2 |
`, out.String())
}
