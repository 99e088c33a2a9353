package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// A moved version is the product's next one: writes follow from it, and the relay
// finds it in the outbox. The stock and the ledger stay.
func TestMoveVersion(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		before := s.read("mug")
		drained(t, s.Database, 100)
		moved, err := s.MoveVersion(t.Context(), before.Epoch, "mug", before.Version, 999)
		require.NoError(t, err)
		require.True(t, moved)
		after := s.read("mug")
		require.EqualValues(t, 999, after.Version)
		require.Equal(t, before.Levels, after.Levels)
		require.Equal(t, []models.Change{{ProductID: "mug", Version: 999}}, drained(t, s.Database, 100))

		for range 3 { // decided on the snapshot cache, which has the old version, and then on the new one
			s.ok(reserve(line("mug", 1)))
		}
		require.EqualValues(t, 1002, s.read("mug").Version)
		require.Equal(t, 2, s.read("mug").Quantity())
	})
}

// A product that changed meanwhile, another epoch and an unknown product are left
// alone.
func TestMoveVersionOfAnother(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		now := s.read("mug")
		drained(t, s.Database, 100)
		for _, c := range []struct {
			epoch, product string
			from           int64
		}{
			{now.Epoch, "mug", now.Version - 1}, {now.Epoch, "mug", now.Version + 1}, {"lost", "mug", now.Version}, {now.Epoch, "unknown", 0},
		} {
			moved, err := s.MoveVersion(t.Context(), c.epoch, c.product, c.from, 999)
			require.NoError(t, err)
			require.False(t, moved, "%+v", c)
		}
		require.Equal(t, now.Version, s.read("mug").Version)
		require.Empty(t, drained(t, s.Database, 100))
	})
}

// A product that another transaction has locked is given up soon.
func TestMoveVersionOfALockedProduct(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		now := s.read("mug")
		tx, err := s.raw.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "UPDATE products SET title = 'locked' WHERE product_id = 'mug'")
		require.NoError(t, err)
		moved, err := s.MoveVersion(t.Context(), now.Epoch, "mug", now.Version, 999)
		require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
		require.False(t, moved)
		require.NoError(t, tx.Rollback())
		require.Equal(t, now.Version, s.read("mug").Version)
	})
}
