package graph_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// TestServerTime: a query and every payload with a reservation say the time on the
// database's clock, so that no client needs the clock inside a cached reservation.
func TestServerTime(t *testing.T) {
	t.Parallel()
	decided := time.Date(2030, 1, 1, 0, 0, 2, 0, time.UTC)
	f := &fakeStore{write: func(w models.Write) (models.WriteResult, error) {
		if w.(models.ExtendReservation).ID == "none" {
			return models.WriteResult{Errors: []models.UserError{models.NotFound([]string{"input", "id"}, "no")}}, nil
		}
		r := models.Reservation{ID: "r", State: models.ReservationActive, ExpiresAt: decided.Add(time.Minute)}.At(decided)
		return models.WriteResult{Reservation: &r}, nil
	}}
	assert.JSONEq(t, `{"serverTime": "2030-01-01T00:00:01.000Z"}`, string(ask(t, f, `{ serverTime }`).Data))
	r := ask(t, f, `mutation { extendReservation(input: {id: "r"}) { serverTime reservation { expiresAt serverTime } }
		none: extendReservation(input: {id: "none"}) { serverTime reservation { id } } }`)
	assert.JSONEq(t, `{"extendReservation": {"serverTime": "2030-01-01T00:00:02.000Z", "reservation":
		{"expiresAt": "2030-01-01T00:01:02.000Z", "serverTime": "2030-01-01T00:00:02.000Z"}}, "none": {"serverTime": null, "reservation": null}}`, string(r.Data))
}

// TestServerTimeIsTheDatabases: a real store answers a time that moves on.
func TestServerTimeIsTheDatabases(t *testing.T) {
	t.Parallel()
	read := func() (at time.Time) {
		_, body := post(t, readingShop(t).api, "anonymous", request{Query: `{ serverTime }`})
		var answer struct {
			Data struct{ ServerTime time.Time }
		}
		require.NoError(t, json.Unmarshal(body, &answer), "%s", body)
		return answer.Data.ServerTime
	}
	first := read()
	assert.WithinDuration(t, time.Now(), first, time.Minute)
	require.Eventually(t, func() bool { return read().After(first) }, 10*time.Second, time.Millisecond)
}
