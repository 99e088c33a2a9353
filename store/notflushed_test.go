package store

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
)

// A log that the primary has not flushed has a reason of its own: without a commit, no
// standby gets it.
func TestReadReplicaNotFlushed(t *testing.T) {
	t.Parallel()
	r := openReplicated(t, 50*time.Millisecond, patience)
	conn, err := pgx.Connect(t.Context(), r.primary.DSN("shop"))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	eventually(t, func() bool { // a commit of another session may flush it
		_, err := conn.Exec(t.Context(), "SELECT pg_logical_emit_message(false, 'onhand', 'not flushed')")
		require.NoError(t, err)
		_, err = r.Movements(t.Context(), paging.MovementRequest{First: 1}, models.MovementFilter{})
		require.NoError(t, err)
		return r.fallbacks(t, "not_flushed") > 0
	})
	r.awaitUse(t)
}
