package dialect

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// A context that ends between a transaction's last answer and its commit, as an
// audit's may, has database/sql say that the transaction is over.
func TestOverBeforeItsCommitIsUnavailable(t *testing.T) {
	t.Parallel()
	d := &DB{}
	require.Equal(t, models.CodeUnavailable, models.CodeOf(d.Fault(sql.ErrTxDone)))
}
