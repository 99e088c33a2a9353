package throughput

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Rates are means over the samples that are kept: what grew before does not count.
func TestGrowth(t *testing.T) {
	t.Parallel()
	var m RateMeter
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	m.Sample(at, 1000, 5)
	grown, seconds := m.Growth()
	require.Empty(t, grown)
	require.Zero(t, seconds)
	for i := range 2 * SamplesMax {
		m.Sample(at.Add(time.Duration(i+1)*time.Second), 2000+float64(3*i), 5)
	}
	grown, seconds = m.Growth()
	require.Equal(t, []float64{3 * (SamplesMax - 1), 0}, grown)
	require.InDelta(t, SamplesMax-1, seconds, 0)
}
