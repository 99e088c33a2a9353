package rowjson

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
)

// Handwritten JSON is byte for byte that of package json, which wrote stored
// fingerprints and lines.
func TestJSONByHand(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[ -~]{0,6}`), rapid.String(), rapid.Just("\xff\u2028<\x7f"))
		count := rapid.OneOf(rapid.Just(0), rapid.Int())
		w := models.Reserve{
			IdempotencyKey: text.Draw(t, "key"), TTL: time.Duration(count.Draw(t, "ttl")), Channel: text.Draw(t, "channel"),
			AllowPartial: rapid.Bool().Draw(t, "partial"), OwnerRef: text.Draw(t, "owner"), DefaultTTL: time.Hour,
			KeyTerms: models.KeyTerms{Caller: text.Draw(t, "caller"), NotAfter: new(time.Now())}, // no part of the input
			Lines: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) models.RequestedLine {
				return models.RequestedLine{ProductID: text.Draw(t, "product"), Quantity: count.Draw(t, "quantity"), LocationID: text.Draw(t, "location")}
			}), 0, 3).Draw(t, "lines"),
		}
		if rapid.Bool().Draw(t, "none") {
			w.Lines = nil
		}
		want, err := json.Marshal(w)
		require.NoError(t, err)
		require.Equal(t, string(want), string(JSON{}.AppendReserve(nil, w)))
		require.Equal(t, string(want), string(JSON{Std: true}.AppendReserve(nil, w)))

		allocations := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) models.Allocation {
			return models.Allocation{LocationID: text.Draw(t, "location"), Quantity: count.Draw(t, "units"), Done: count.Draw(t, "done"), Ended: rapid.Bool().Draw(t, "ended")}
		}), 0, 3)
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) models.ReservationLine {
			return models.ReservationLine{
				ProductID: text.Draw(t, "product"), Requested: count.Draw(t, "requested"), Quantity: count.Draw(t, "quantity"),
				Fulfilled: count.Draw(t, "fulfilled"), Cancelled: count.Draw(t, "cancelled"), Ended: rapid.Bool().Draw(t, "ended"),
				Allocations: allocations.Draw(t, "allocations"), Pinned: allocations.Draw(t, "pinned"),
			}
		}), 0, 3).Draw(t, "reservation lines")
		want, err = json.Marshal(lines)
		require.NoError(t, err)
		require.Equal(t, string(want), string(JSON{}.AppendLines(nil, lines)))
	})
	require.Equal(t, "null", string(JSON{}.AppendLines(nil, nil)))
	for what, fields := range map[reflect.Type]int{
		reflect.TypeFor[models.Reserve](): 11, reflect.TypeFor[models.RequestedLine](): 3,
		reflect.TypeFor[models.ReservationLine](): 8, reflect.TypeFor[models.Allocation](): 4,
	} {
		require.Equal(t, fields, what.NumField(), "the fields of %s changed: change AppendReserve, AppendLines and this test too", what)
	}
}
