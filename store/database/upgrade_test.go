package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// A newer copy that brings the tables up to date breaks what this one has
// prepared: the statements that meet it fail as with any server that is away,
// and work the next time.
func TestTablesChangeUnderACopy(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.SQL.SetMaxOpenConns(1) // the statements are prepared on the one that meets it
		s.stock("mug", "north", 5)
		held := s.hold(line("mug", 1))
		read := func() error { _, err := s.ReadReservations(t.Context(), []string{held.ID}); return err }
		require.NoError(t, read())
		require.NoError(t, read())
		s.exec("ALTER TABLE reservations ALTER owner_ref TYPE varchar(300)")
		require.Equal(t, models.CodeUnavailable, models.CodeOf(read()))
		require.NoError(t, read())
		s.ok(release(held.ID))
	})
}
