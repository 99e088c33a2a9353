package dialect

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// When a context ends between the last answer of a transaction and its commit, as that
// of an audit may, database/sql returns ErrTxDone.
func TestTransactionThatEndedBeforeItsCommitIsUnavailable(t *testing.T) {
	t.Parallel()
	d := &DB{}
	require.Equal(t, models.CodeUnavailable, models.CodeOf(d.Fault(sql.ErrTxDone)))
}
