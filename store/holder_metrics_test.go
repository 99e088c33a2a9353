package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/holderlimits"
)

// Refusals by a limit of a holder are counted by code, those by a product's limit for each owner too. A limit for each
// reservation is none of a holder.
func TestHolderRefusals(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: "sqlite::memory:"})
	const units, owner = "onhand_holder_refusals_total{TOO_MANY_UNITS}", "onhand_holder_refusals_total{QUANTITY_LIMIT_EXCEEDED}"
	require.Zero(t, measured(t, s)[owner])
	require.Contains(t, measured(t, s), owner, "from zero on")
	s.metrics.wrote(models.Reserve{}, models.WriteResult{Errors: []models.UserError{
		holderlimits.LimitError{Cause: holderlimits.TooManyUnits},
		models.QuantityLimitExceededError{Limit: 2, PeriodSeconds: new(3600)},
		models.QuantityLimitExceededError{Limit: 2},
	}}, nil)
	require.EqualValues(t, 1, measured(t, s)[units])
	require.EqualValues(t, 1, measured(t, s)[owner])
}
