package models_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/models"
)

// TestNothingIsLeftOfAnEndedReservation: what is left follows the state as of the time,
// also before the sweeper has come, and the stored lines keep what was reserved.
func TestNothingIsLeftOfAnEndedReservation(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		state   models.ReservationState
		expires time.Duration
		left    int
	}{
		{models.ReservationActive, time.Second, 5},
		{models.ReservationActive, 0, 0},
		{models.ReservationActive, -time.Hour, 0},
		{models.ReservationCommitted, -time.Hour, 5},
		{models.ReservationReleased, time.Second, 0},
		{models.ReservationExpired, -time.Second, 0},
		{models.ReservationCancelled, time.Second, 0},
		{models.ReservationFulfilled, time.Second, 0},
	} {
		stored := models.Reservation{State: test.state, ExpiresAt: now.Add(test.expires), Lines: []models.ReservationLine{
			{ProductID: "mug", Requested: 5, Quantity: 5, Allocations: []models.Allocation{{LocationID: "north", Quantity: 2}, {LocationID: "south", Quantity: 3}}},
		}}
		at := stored.At(now).At(now)
		assert.Equal(t, test.left, at.Left(), "%s", test.state)
		assert.Equal(t, test.left, at.Lines[0].Left(), "%s", test.state)
		assert.Equal(t, test.left, at.Lines[0].Allocations[0].Left()+at.Lines[0].Allocations[1].Left(), "%s", test.state)
		assert.Equal(t, 5, at.Lines[0].Quantity)
		assert.Equal(t, 5, stored.Left())
		assert.Equal(t, 5, stored.Lines[0].Allocations[0].Left()+stored.Lines[0].Allocations[1].Left())
	}
}

// TestVersionsOfAReservation: the expiry that a reader derives has the version that the
// sweeper stores, and no other change of an active reservation takes it.
func TestVersionsOfAReservation(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		state, next models.ReservationState
		want        int64
	}{
		{models.ReservationActive, models.ReservationExpired, 8},
		{models.ReservationActive, models.ReservationActive, 9},
		{models.ReservationActive, models.ReservationCommitted, 9},
		{models.ReservationActive, models.ReservationReleased, 9},
		{models.ReservationCommitted, models.ReservationCommitted, 8},
		{models.ReservationCommitted, models.ReservationFulfilled, 8},
		{models.ReservationCommitted, models.ReservationCancelled, 8},
	} {
		stored := models.Reservation{State: test.state, Version: 7, ExpiresAt: now}
		assert.Equal(t, test.want, stored.VersionAfter(test.next), "%s to %s", test.state, test.next)
	}
	active := models.Reservation{State: models.ReservationActive, Version: 7, ExpiresAt: now}
	assert.EqualValues(t, 7, active.At(now.Add(-1)).Version)
	assert.EqualValues(t, 8, active.At(now).Version)
	assert.EqualValues(t, 8, active.At(now).At(now.Add(time.Hour)).Version, "once")
	swept := active
	swept.State, swept.Version = models.ReservationExpired, active.VersionAfter(models.ReservationExpired)
	assert.Equal(t, swept.At(now), active.At(now))
}
