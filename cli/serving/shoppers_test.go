package serving

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/cli/serving/shoppers"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/models/paging"
	"onhand/store"
	"onhand/store/audit"
	"onhand/store/demoshop"
)

func simulationOf(t *testing.T, st *store.Store) *shoppers.Simulation {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	handler := routes(st, transport.NewClosing(), log, routeConfig{sites: localSites(t), open: newConnections(10)})
	return &shoppers.Simulation{Handler: handler, Host: "127.0.0.1:8080", Shoppers: 20, Log: log, Speed: 1000}
}

// Simulated shoppers do everything that a shop sees, and leave the products of documents
// alone. They stop when they are told to, and leave nothing that the audit finds.
func TestShoppers(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	simulation := simulationOf(t, st)
	go func() { ended <- simulation.Run(ctx) }()
	for _, reason := range []models.Reason{
		models.ReasonReserved, models.ReasonReleased, models.ReasonCommitted, models.ReasonFulfilled, models.ReasonCancelled, models.ReasonReceived, models.ReasonReturned,
	} {
		require.Eventually(t, func() bool {
			page, err := st.Movements(t.Context(), paging.MovementRequest{First: 1}, models.MovementFilter{Reason: reason})
			return err == nil && len(page.Movements) > 0
		}, time.Minute, 20*time.Millisecond, reason)
	}
	stop()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		require.Fail(t, "shoppers did not stop")
	}
	for _, id := range demoshop.Quiet {
		page, err := st.Movements(t.Context(), paging.MovementRequest{First: 10}, models.MovementFilter{ProductID: id})
		require.NoError(t, err)
		for _, m := range page.Movements {
			require.Equal(t, models.ReasonImport, m.Reason, id)
		}
	}
	// The last writes may not be in Redis yet.
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		tally, err := st.Audit(context.Background(), audit.Options{})
		assert.NoError(t, err)
		for kind, n := range tally.Differences {
			assert.Zero(t, n, kind)
		}
	}, time.Minute, 100*time.Millisecond)
}

// The orders of shoppers who were stopped are shipped at the next start.
func TestShoppersShipLeftOrders(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	for i, order := range []string{"simulated-left", "an order of another shop"} {
		key := order
		reserved, err := st.Write(t.Context(), models.Reserve{IdempotencyKey: key, TTL: time.Hour, Lines: []models.RequestedLine{{ProductID: "22197", Quantity: 1 + i}}})
		require.NoError(t, err)
		require.Empty(t, reserved.Errors)
		_, err = st.Write(t.Context(), models.Resolve{IdempotencyKey: key + " order", ID: reserved.Reservation.ID, To: models.ReservationCommitted, OrderRef: order})
		require.NoError(t, err)
	}
	simulation := simulationOf(t, st)
	simulation.Shoppers = 0
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { _ = simulation.Run(ctx) }()
	require.Eventually(t, func() bool {
		page, err := st.ListReservations(t.Context(), paging.ReservationRequest{First: 10}, paging.ReservationQuery{})
		return err == nil && slices.ContainsFunc(page.Reservations, func(r *models.Reservation) bool {
			return r.Order == "simulated-left" && r.State == models.ReservationFulfilled
		})
	}, time.Minute, 20*time.Millisecond)
	page, err := st.ListReservations(t.Context(), paging.ReservationRequest{First: 10}, paging.ReservationQuery{})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(page.Reservations, func(r *models.Reservation) bool { return r.State == models.ReservationCommitted }), "the other order is left alone")
}

// They never run in another shop.
func TestShoppersRefuseAnotherShop(t *testing.T) {
	t.Parallel()
	st, err := store.Open(store.Config{DatabaseURL: "sqlite::memory:"})
	require.NoError(t, err)
	t.Cleanup(st.Close)
	_, err = st.MigrateWhenUp(t.Context())
	require.NoError(t, err)
	require.NoError(t, st.Start())
	require.ErrorIs(t, simulationOf(t, st).Run(t.Context()), shoppers.ErrNotTheDemo)
}
