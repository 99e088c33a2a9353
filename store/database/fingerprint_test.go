package database_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// Fingerprints are stored. Another version of this program must compute the same ones,
// or every repeated key would be refused as a mismatch.
func TestFingerprintsStay(t *testing.T) {
	t.Parallel()
	lines := []models.RequestedLine{{ProductID: "mug", Quantity: 2}, {ProductID: "cup", Quantity: 1, LocationID: "north"}}
	const linesJSON = `[{"productId":"mug","quantity":2},{"productId":"cup","quantity":1,"locationId":"north"}]`
	for _, stored := range []struct {
		kind, input string
		write       models.Write
	}{
		{"reserve", `{"idempotencyKey":"k","lines":` + linesJSON + `,"ttl":60000000000,"channel":"web","allowPartial":true,"ownerRef":"cart 1"}`,
			models.Reserve{IdempotencyKey: "k", Lines: lines, TTL: time.Minute, Channel: "web", AllowPartial: true, OwnerRef: "cart 1"}},
		{"update", `{"idempotencyKey":"k","id":"res_1","lines":` + linesJSON + `,"ttl":60000000000}`,
			models.UpdateReservation{IdempotencyKey: "k", ID: "res_1", Lines: lines, TTL: time.Minute}},
		{"resolve:COMMITTED", `{"idempotencyKey":"k","id":"res_1","to":"COMMITTED","orderRef":"order 1"}`,
			models.Resolve{IdempotencyKey: "k", ID: "res_1", To: models.ReservationCommitted, OrderRef: "order 1", Actor: "another clerk"}},
		{"resolve:FULFILLED", `{"idempotencyKey":"k","id":"res_1","to":"FULFILLED","lines":[{"productId":"mug","quantity":1}]}`,
			models.Resolve{IdempotencyKey: "k", ID: "res_1", To: models.ReservationFulfilled, Lines: []models.LinePart{part("mug", 1)}}},
		{"adjust", `{"idempotencyKey":"k","rows":[{"productId":"mug","locationId":"north","state":"AVAILABLE","delta":-1}],` +
			`"reason":"RETURNED","note":"box open","reference":"return 1","errorPolicy":"REJECT_FAILED_ROWS"}`,
			models.Adjust{IdempotencyKey: "k", Rows: []models.AdjustRow{delta("mug", "north", models.Available, -1)},
				Reason: models.ReasonReturned, Note: "box open", Reference: "return 1", ErrorPolicy: models.RejectFailedRows, Actor: "another clerk"}},
		{"set", `{"idempotencyKey":"k","rows":[{"productId":"mug","locationId":"north","state":"AVAILABLE","quantity":3,"changeFromQuantity":0},` +
			`{"productId":"cup","locationId":"north","state":"DAMAGED","quantity":0,"ignoreStale":true}],` +
			`"reason":"CYCLE_COUNT","note":"aisle 3","reference":"count 1","errorPolicy":"REJECT_EVERYTHING"}`,
			models.SetStock{IdempotencyKey: "k", Rows: []models.SetRow{
				from(row("mug", "north", models.Available, 3), 0),
				{ProductID: "cup", LocationID: "north", State: models.Damaged, IgnoreStale: true},
			}, Reason: models.ReasonCycleCount, Note: "aisle 3", Reference: "count 1", ErrorPolicy: models.RejectEverything, Actor: "another clerk"}},
		{"set", `{"idempotencyKey":"k","rows":[{"productId":"mug","locationId":"north","state":"AVAILABLE","quantity":3,"countedAt":"2031-02-03T04:05:06.789Z"}],` +
			`"reason":"CYCLE_COUNT","errorPolicy":"REJECT_EVERYTHING"}`,
			models.SetStock{IdempotencyKey: "k", Rows: []models.SetRow{
				countedAt(time.Date(2031, 2, 3, 5, 5, 6, 789_000_000, time.FixedZone("", 3600)), row("mug", "north", models.Available, 3)),
			}, Reason: models.ReasonCycleCount, ErrorPolicy: models.RejectEverything}},
		{"move", `{"idempotencyKey":"k","rows":[{"productId":"mug","quantity":2,"from":{"locationId":"north","state":"INCOMING"},` +
			`"to":{"locationId":"south","state":"AVAILABLE"}}],"reason":"RECEIVED","note":"pallet 9","reference":"delivery 1","errorPolicy":"REJECT_EVERYTHING"}`,
			models.MoveStock{IdempotencyKey: "k", Rows: []models.MoveRow{moveRow("mug", 2, "north", models.Incoming, "south", models.Available)},
				Reason: models.ReasonReceived, Note: "pallet 9", Reference: "delivery 1", ErrorPolicy: models.RejectEverything, Actor: "another clerk"}},
		{"products", `{"idempotencyKey":"k","rows":[{"productId":"mug","title":null,"tracked":true,"inventoryPolicy":"CONTINUE","backorderLimit":3,` +
			`"lowStockThreshold":0,"maxPerReservation":2,"maxPerOwner":4,"ownerPeriodSeconds":60,"nextRestockAt":"2031-02-03T04:05:06Z"},{"productId":"cup"}],"errorPolicy":"REJECT_EVERYTHING"}`,
			models.UpsertProducts{IdempotencyKey: "k", ErrorPolicy: models.RejectEverything, Rows: []models.ProductRow{{
				ProductID: "mug", Title: cleared[string](), Tracked: new(true), InventoryPolicy: new(models.Continue), BackorderLimit: given(3),
				LowStockThreshold: new(0), MaxPerReservation: given(2), MaxPerOwner: given(4), OwnerPeriod: given(60), NextRestockAt: given(time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)),
			}, {ProductID: "cup"}}}},
		{"locations", `{"idempotencyKey":"k","rows":[{"locationId":"north","name":"","priority":0,"active":false,"pickup":true}],"errorPolicy":"REJECT_EVERYTHING"}`,
			models.UpsertLocations{IdempotencyKey: "k", ErrorPolicy: models.RejectEverything, Rows: []models.LocationRow{
				{LocationID: "north", Name: new(""), Priority: new(0), Active: new(false), Pickup: new(true)}}}},
		{"channels", `{"idempotencyKey":"k","rows":[{"channelId":"web","name":"Web","sourcing":"PRIORITY","locationIds":[]},{"channelId":"app"}],"errorPolicy":"REJECT_EVERYTHING"}`,
			models.UpsertChannels{IdempotencyKey: "k", ErrorPolicy: models.RejectEverything, Rows: []models.ChannelRow{
				{ChannelID: "web", Name: new("Web"), Sourcing: new(models.ByPriority), LocationIDs: []string{}}, {ChannelID: "app"}}}},
	} {
		sum := sha256.Sum256([]byte(stored.kind + "\x00" + stored.input))
		require.Equal(t, hex.EncodeToString(sum[:16]), database.Fingerprint(stored.write), stored.kind)
	}
}

// Settings of the server and the terms of the key are not part of a fingerprint.
func TestFingerprintOfTheInputAlone(t *testing.T) {
	t.Parallel()
	w := models.Reserve{IdempotencyKey: "k", Lines: []models.RequestedLine{{ProductID: "mug", Quantity: 2}}, DefaultTTL: time.Minute}
	another := w
	another.DefaultTTL, another.Caller, another.NotAfter = time.Hour, "ann", new(time.Now())
	require.Equal(t, database.Fingerprint(w), database.Fingerprint(another))
	another.TTL = time.Minute
	require.NotEqual(t, database.Fingerprint(w), database.Fingerprint(another))
}

// The repeated key of a partial reservation returns its first shortages, also after the
// reservation was updated.
func TestPartialReservationRepeatedAfterItsUpdate(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 3)
		w := reserve(line("mug", 5))
		w.AllowPartial = true
		first := s.do(w)
		s.fails(first, short(0, "mug", 5, 3))
		s.ok(update(first.Reservation.ID, line("mug", 1)))
		again := s.do(w)
		require.True(t, again.Replayed)
		s.fails(again, short(0, "mug", 5, 3))
		require.Equal(t, 1, again.Reservation.Lines[0].Quantity, "the reservation as it is now")
		changed := w
		changed.OwnerRef = "another cart"
		require.IsType(t, models.IdempotencyError{}, s.do(changed).Errors[0])
	})
}

// The tables refuse values that no answer can represent, whichever writer sends them.
func TestUnrepresentableValuesAreRefused(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 3)
		r := s.reserved(line("mug", 1))
		infinity, late := "9223372036854775807", "253402300800000000"
		if s.kind == postgres {
			infinity, late = "'infinity'", "'10000-01-01Z'"
		}
		for _, change := range []string{
			"products SET next_restock_at = " + infinity, "products SET next_restock_at = " + late,
			"products SET max_per_reservation = 1000000001", "products SET low_stock_threshold = 1000000001",
			"reservations SET expires_at = " + infinity,
		} {
			_, err := s.raw.Exec("UPDATE " + change)
			require.Error(t, err, change)
		}
		require.Nil(t, s.read("mug").NextRestockAt)
		s.ok(release(r.ID))
	})
}
