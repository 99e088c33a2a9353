package database_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// Of several instances that find the same need, the first starts a new epoch and the
// others change nothing.
func TestNewEpochOnce(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		old := s.Epoch()
		require.NoError(t, s.NewEpoch(t.Context(), old))
		first, err := s.ReadMeta(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, old, first.Epoch)
		require.NoError(t, s.NewEpoch(t.Context(), old))
		second, err := s.ReadMeta(t.Context())
		require.NoError(t, err)
		require.Equal(t, first.Epoch, second.Epoch)
		require.Equal(t, first.Epoch, s.Epoch())
	})
}

// An instance whose database gets another epoch, and even another secret, continues:
// what it reads and writes belongs to the new epoch.
func TestEpochChangesUnderneath(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		old := s.Epoch()
		s.exec("UPDATE onhand_meta SET epoch = 'restored', reservation_secret = 'another'")
		w := reserve(line("mug", 1))
		r := s.ok(w)
		require.Equal(t, "restored", s.Epoch())
		require.Equal(t, s.ReservationOf(w.IdempotencyKey), r.Reservation.ID, "made with the new secret")
		require.True(t, s.ok(w).Replayed)
		require.Equal(t, "restored", s.read("mug").Epoch)

		s.exec("UPDATE onhand_meta SET epoch = 'again'")
		require.Equal(t, "again", s.read("mug").Epoch, "a read notices too")
		require.Equal(t, "again", s.Epoch())
		require.NotEqual(t, old, s.Epoch())
		s.ok(release(r.Reservation.ID))
		require.Equal(t, "again", s.mustWrite(reserve(line("mug", 5))).Stocks[0].Epoch)
	})
}

// Writes during a change of epoch succeed.
func TestEpochChangesWhileWriting(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1000)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 20 {
					out, err := s.WriteUnderLock(t.Context(), []models.Write{reserve(line("mug", 1))})
					if assert.NoError(t, err) {
						assert.Empty(t, out.Results[0].Errors)
					}
				}
			})
		}
		for range 5 {
			meta, err := s.ReadMeta(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.NewEpoch(t.Context(), meta.Epoch))
		}
		group.Wait()
		require.Equal(t, 80, s.level("mug", "north").Reserved)
	})
}
