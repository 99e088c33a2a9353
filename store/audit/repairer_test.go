package audit

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest/fixture"
)

// A version that was seen is compared with the database as it is afterwards. One
// that the database has given is right; a later one is passed by a repair, also when the hash is
// gone by then. A version of another epoch says nothing.
func TestRepairerRounds(t *testing.T) {
	onEach(t, func(t *testing.T, s auditedStack) {
		s.StockUp(t, 5, "right", "ahead", "gone", "other epoch", "late")
		s.setHash("ahead", "version", 50)
		require.NoError(t, s.Redis.Del(t.Context(), s.Cache.Keys().Stock("gone")).Err())
		s.exec("UPDATE stock_levels SET available = 4 WHERE product_id = 'late'") // no relay drains it
		p := s.sampler(0)
		r := p.Repairer()
		epoch := s.Epoch(t)
		r.Ahead("right", epoch, 2)
		r.Ahead("ahead", epoch, 7)
		r.Ahead("gone", epoch, 60)
		r.Ahead("gone", epoch, 50)
		r.Ahead("other epoch", "lost", 70)
		r.Ahead("late", epoch, 2)
		r.Ahead("unknown", epoch, 5)
		require.NoError(t, r.round(t.Context(), r.take()))
		for id, want := range map[string]int64{"right": 2, "ahead": 51, "gone": 61, "other epoch": 2, "late": 2} {
			require.Equal(t, want, cached(t, s, id).Version, id)
			require.Equal(t, 5, cached(t, s, id).Quantity(), id)
		}
		m := measured(t, p)
		require.EqualValues(t, 2, m["onhand_audit_differences_total{redis_ahead}"])
		require.EqualValues(t, 2, m["onhand_redis_repairs_total"])
		s.Drain(t)
		lines, _ := s.findings(Options{})
		require.Empty(t, lines)
	})
}

// A product that only Redis has, with versions of this epoch, becomes unknown. When
// it is made, readers get it.
func TestRepairerDeniesUnknownProducts(t *testing.T) {
	onEach(t, func(t *testing.T, s auditedStack) {
		s.StockUp(t, 5, "known")
		ghost := *cached(t, s, "known")
		ghost.ProductID, ghost.Version = "ghost", 50
		s.setStock(&ghost)
		require.EqualValues(t, 50, cached(t, s, "ghost").Version)
		p := s.sampler(0)
		p.Repairer().Ahead("ghost", s.Epoch(t), 50)
		require.NoError(t, p.Repairer().round(t.Context(), p.Repairer().take()))
		entries, err := s.Cache.Get(t.Context(), s.Epoch(t), []string{"ghost"})
		require.NoError(t, err)
		require.True(t, entries[0].Known)
		require.Nil(t, entries[0].Stock)

		s.StockUp(t, 3, "ghost") // Redis refuses it, and reports the version of the negative entry
		p.Repairer().Ahead("ghost", s.Epoch(t), 51)
		require.NoError(t, p.Repairer().round(t.Context(), p.Repairer().take()))
		require.Equal(t, 3, cached(t, s, "ghost").Quantity())
		require.EqualValues(t, 52, cached(t, s, "ghost").Version)
	})
}

// The repairs of a subscriber's instance reach its subscribers.
type delivered []*models.Stock

func (d *delivered) Deliver(stocks []*models.Stock) { *d = append(*d, stocks...) }

// Sightings are bounded, survive a failed round, and what is repaired is delivered.
func TestRepairerKeepsSightings(t *testing.T) {
	onEach(t, func(t *testing.T, s auditedStack) {
		s.StockUp(t, 5, "mug")
		subjects, got := s.subjects(), &delivered{}
		cache := &busyCache{Cache: s.Cache, failures: 1}
		subjects.Redis, subjects.Subscribers = cache, got
		p := s.sampler(0)
		r := newRepairer(subjects, p.metrics, p.incidents)
		for n := range 2 * sightingsMax {
			r.Ahead(fmt.Sprint(n), "e", 1)
		}
		require.Len(t, r.take(), sightingsMax)

		r.Ahead("mug", s.Epoch(t), 9)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		fixture.Eventually(t, func() bool { return measured(t, p)["onhand_redis_repairs_total"] == 1 })
		stop()
		<-done
		require.EqualValues(t, 10, cached(t, s, "mug").Version)
		require.Len(t, *got, 1)
		require.EqualValues(t, 10, (*got)[0].Version)
		require.EqualValues(t, 1, measured(t, p)["onhand_audit_failures_total"])
	})
}
