package database_test

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// The stock as of any moment is what a plain model noted at that moment, through random
// writes by Onhand and outside writers.
func TestStockAsOf(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		type note struct {
			at    time.Time
			shelf map[levelKey]models.Quantities
		}
		look := func() *models.Stock {
			found, err := s.ReadStocks(t.Context(), []string{"mug"})
			require.NoError(t, err)
			return found.Stocks[0]
		}
		tick := func(at time.Time) { // SQLite's clock ticks once a millisecond
			for time.Since(at) < 2*time.Millisecond {
				time.Sleep(time.Millisecond)
			}
		}
		s.stock("mug")
		s.stock("cup", "north", 3)
		shelf, notes := map[levelKey]models.Quantities{}, []note{{look().AsOf, map[levelKey]models.Quantities{}}}
		tick(notes[0].at)
		var reservations []*models.Reservation
		states := []models.State{models.Available, models.Damaged, models.Incoming, models.SafetyStock}
		for range 40 {
			location := []string{"north", "south", "far"}[rand.N(3)]
			at := levelKey{"mug", location}
			q := shelf[at]
			switch rand.N(4) {
			case 0:
				if q.Available > 0 && location != "far" {
					reservations = append(reservations, s.reserved(pinned("mug", 1, location)))
					q.Available, q.Reserved = q.Available-1, q.Reserved+1
				}
			case 1:
				s.exec("INSERT INTO stock_levels (product_id, location_id, available) VALUES ('mug', $1, 0) ON CONFLICT DO NOTHING", location)
				s.exec("UPDATE stock_levels SET available = available + 5 WHERE product_id = 'mug' AND location_id = $1", location)
				q.Available += 5
			case 2:
				if n := len(reservations); n > 0 {
					back := reservations[n-1].Lines[0].Allocations[0].LocationID
					s.ok(release(reservations[n-1].ID))
					reservations, at = reservations[:n-1], levelKey{"mug", back}
					q = shelf[at]
					q.Available, q.Reserved = q.Available+1, q.Reserved-1
				}
			default:
				state, n := states[rand.N(len(states))], 1+rand.N(9)
				s.ok(adjust(delta("mug", location, state, n)))
				*q.Of(state) += n
			}
			shelf[at] = q
			if q == (models.Quantities{}) {
				delete(shelf, at)
			}
			now := look()
			notes = append(notes, note{now.AsOf, maps.Clone(shelf)})
			tick(now.AsOf)
		}
		s.settings("mug", "low_stock_threshold = 7")
		for _, n := range notes {
			got, err := s.ReadStockAsOf(t.Context(), "mug", n.at)
			require.NoError(t, err)
			levels := map[levelKey]models.Quantities{}
			for _, l := range got.Levels {
				if l.Quantities != (models.Quantities{}) {
					levels[levelKey{"mug", l.LocationID}] = l.Quantities
				}
				require.Equal(t, l.LocationID != "far", l.Active)
			}
			require.Equal(t, n.shelf, levels, "at %s", n.at)
			require.Equal(t, 7, got.LowStockThreshold, "settings are the present ones")
			require.Equal(t, models.FromDatabase, got.Source)
			require.True(t, n.at.Equal(got.AsOf))
			require.Equal(t, look().Version, got.Version, "of the settings")
		}
		got, err := s.ReadStockAsOf(t.Context(), "mug", time.Unix(0, 0))
		require.NoError(t, err)
		require.Empty(t, got.Levels)
		require.Equal(t, look().Version, got.Version)
		got, err = s.ReadStockAsOf(t.Context(), "ghost", time.Unix(0, 0))
		require.NoError(t, err)
		require.Nil(t, got)
		_, err = s.ReadStockAsOf(t.Context(), "mug", time.Now().Add(time.Hour))
		require.Equal(t, models.CodeBadUserInput, models.CodeOf(err))
		require.ErrorContains(t, err, "future")
		_, err = s.ReadStockAsOf(t.Context(), "mug", time.Date(0, 12, 31, 23, 0, 0, 0, time.UTC))
		require.Equal(t, models.CodeBadUserInput, models.CodeOf(err))
		require.ErrorContains(t, err, "years 1 to 9999")
		_, err = s.ReadStockAsOf(t.Context(), "mug", time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
		require.NoError(t, err)
	})
}
