package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/models/quota"
)

// TestParse: a quota has units and a window; what can never work is refused.
func TestParse(t *testing.T) {
	t.Parallel()
	q, err := quota.Parse("600000/1m")
	assert.NoError(t, err)
	assert.Equal(t, quota.Quota{Cost: 600_000, Window: time.Minute}, q)
	assert.InDelta(t, 10_000, q.PerSecond(), 1e-9)
	q, err = quota.Parse("off")
	assert.NoError(t, err)
	assert.True(t, q.Unbounded())
	for _, wrong := range []string{"", "600", "600/", "/1m", "0/1m", "-1/1m", "1.5/1m", "2000000000000/1m", "600/1", "600/1ms", "600/25h", "600/1m/1m", "OFF"} {
		_, err := quota.Parse(wrong)
		assert.Error(t, err, wrong)
	}
}
