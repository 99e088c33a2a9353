package scalar_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/scalar"
	"onhand/models"
)

func written(m graphql.Marshaler) string {
	var b strings.Builder
	m.MarshalGQL(&b)
	return b.String()
}

// TestBigInt: written as a JSON number, and read from one, below 2^53.
func TestBigInt(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "9007199254740991", written(scalar.MarshalBigInt(1<<53-1)))
	assert.Equal(t, "-1", written(scalar.MarshalBigInt(-1)))
	for _, v := range []any{int64(7), 7, 7.0, json.Number("7"), json.Number("7.0"), json.Number("70e-1")} {
		n, err := scalar.UnmarshalBigInt(v)
		require.NoError(t, err, "%T", v)
		assert.Equal(t, int64(7), n)
	}
	n, err := scalar.UnmarshalBigInt(json.Number("-9007199254740991"))
	require.NoError(t, err)
	assert.Equal(t, int64(-1<<53+1), n)
	for _, v := range []any{nil, "", "7", "x", "1.5", "1e3", json.Number("1.5"), json.Number("9007199254740992"), json.Number("-9007199254740992"),
		json.Number("99999999999999999999"), int64(math.MaxInt64), int64(math.MinInt64), 1.5, true, []any{1}} {
		_, err := scalar.UnmarshalBigInt(v)
		assert.Equal(t, models.CodeBadUserInput, models.CodeOf(err), "%v", v)
	}
}

// TestInt: 32 bits. A larger number is written as the nearest one, and refused as input.
func TestInt(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "-5", written(scalar.MarshalInt(-5)))
	assert.Equal(t, "2147483647", written(scalar.MarshalInt(2_000*models.QuantityMax)))
	assert.Equal(t, "-2147483648", written(scalar.MarshalInt(-2_000*models.QuantityMax)))
	for v, want := range map[any]int{json.Number("2147483647"): math.MaxInt32, json.Number("-2147483648"): math.MinInt32, json.Number("5.0"): 5, int64(0): 0} {
		n, err := scalar.UnmarshalInt(v)
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	for _, v := range []any{json.Number("2147483648"), json.Number("-2147483649"), int64(1 << 40), json.Number("1.5"), "one", "5", true} {
		_, err := scalar.UnmarshalInt(v)
		assert.Equal(t, models.CodeBadUserInput, models.CodeOf(err), "%v", v)
	}
}

// TestTime: written as RFC 3339 in UTC with milliseconds, read from any zone.
func TestTime(t *testing.T) {
	t.Parallel()
	east := time.Date(2026, 3, 1, 12, 0, 0, 1999999, time.FixedZone("east", 3600))
	assert.Equal(t, `"2026-03-01T11:00:00.001Z"`, written(scalar.MarshalTime(east)))
	assert.Equal(t, `"2026-03-01T00:00:00.000Z"`, written(scalar.MarshalTime(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))))
	got, err := scalar.UnmarshalTime("2026-03-01T13:00:00.5+01:00")
	require.NoError(t, err)
	assert.Equal(t, time.Date(2026, 3, 1, 12, 0, 0, 500_000_000, time.UTC), got)
	for _, v := range []any{nil, 5, "", "yesterday", "2026-03-01", "2026-13-01T00:00:00Z", "2026-03-01T12:00:00"} {
		_, err := scalar.UnmarshalTime(v)
		assert.Equal(t, models.CodeBadUserInput, models.CodeOf(err), "%v", v)
	}
}
