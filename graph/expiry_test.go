package graph_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExpiryIsANewerVersion: a client that keeps only newer versions gets the expiry, over
// a WebSocket and by a query, with the same content under the same version.
func TestExpiryIsANewerVersion(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	server := httptest.NewServer(identities[""](s.api))
	defer server.Close()
	_, body := post(t, s.api, "", request{Query: `mutation { reserveStock(input: {idempotencyKey: "k", ttlSeconds: 1, lines: [{productId: "22423", quantity: 1}]}) { reservation { id } } }`})
	id := reservationIDs.FindString(string(body))
	require.NotEmpty(t, id, string(body))
	const fields = `{ state version expiresAt lines { left } }`
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, server.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	send := func(text string) { require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(text))) }
	read := func() (m struct {
		Type    string
		Payload struct {
			Data struct{ ReservationChanged versionedState }
		}
	}) {
		_, data, err := conn.Read(ctx)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &m), string(data))
		return m
	}
	send(`{"type":"connection_init"}`)
	require.Equal(t, "connection_ack", read().Type)
	send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { reservationChanged(id: \"` + id + `\") ` + fields + ` }"}}`)
	active, expired := read().Payload.Data.ReservationChanged, read().Payload.Data.ReservationChanged
	assert.Equal(t, "ACTIVE", active.State)
	assert.Equal(t, "EXPIRED", expired.State)
	assert.Greater(t, expired.Version, active.Version)
	require.Equal(t, "complete", read().Type)
	// A refused write stores the expiry, if the sweeper has not. Its payload and a query
	// say the same.
	_, body = post(t, s.api, "", request{Query: `mutation { releaseReservation(input: {id: "` + id + `"}) { reservation ` + fields + ` } }`})
	var released struct {
		Data struct {
			ReleaseReservation struct{ Reservation versionedState }
		}
	}
	require.NoError(t, json.Unmarshal(body, &released), string(body))
	assert.Equal(t, expired, released.Data.ReleaseReservation.Reservation)
	_, body = post(t, s.api, "", request{Query: `{ reservation(id: "` + id + `") ` + fields + ` }`})
	var queried struct {
		Data struct{ Reservation versionedState }
	}
	require.NoError(t, json.Unmarshal(body, &queried), string(body))
	assert.Equal(t, expired, queried.Data.Reservation)
}

// versionedState is a reservation as far as its expiry changes it.
type versionedState struct {
	State     string
	Version   int64
	ExpiresAt string
	Lines     []struct{ Left int }
}
