package database_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// The directory is read whatever the number of channels: more than a statement may
// have parameters.
func TestDirectoryOfManyChannels(t *testing.T) {
	if race {
		t.Skip("SQLite is too slow for the deadline of a read then")
	}
	onEvery(t, func(t *testing.T, s *shop) {
		const n = 1<<16 + 1
		s.exec(fmt.Sprintf(`INSERT INTO channels (channel_id, name)
			WITH RECURSIVE many(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM many WHERE i < %d) SELECT 'many' || i, 'x' FROM many`, n))
		directory, err := s.Directory(t.Context())
		require.NoError(t, err)
		require.Greater(t, len(directory.Channels), n)
	})
}
