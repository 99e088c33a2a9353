package listing

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

var places = models.NewDirectory([]models.Location{{LocationID: "lon", Name: "London"}, {LocationID: "Leeds", Name: "Leeds"}}, nil)

// TestStoredTextCannotMoveTheCursor: control characters, which only another program can
// store, are replaced, and the columns stay aligned.
func TestStoredTextCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, Movements(&b, []*models.StockMovement{
		{LocationID: "lon", Note: "a\x1b[2Jb\nc", Reason: models.ReasonExternal, Version: 12, CreatedAt: time.Unix(0, 0)},
		{LocationID: "été", Actor: "psql", Reason: models.ReasonOther, Version: 3, CreatedAt: time.Unix(0, 0), Delta: models.Quantities{Incoming: 2}, After: models.Quantities{Incoming: 2}},
	}, places))
	assert.Equal(t, "time                      location      change                reason    version  details\n"+
		"1970-01-01T00:00:00.000Z  lon (London)  nothing               EXTERNAL       12  a\ufffd[2Jb\ufffdc\n"+
		"1970-01-01T00:00:00.000Z  été           incoming 0 -> 2 (+2)  OTHER           3  by psql\n", b.String())
}

func TestStockWithoutLevels(t *testing.T) {
	t.Parallel()
	title := "Gift\tcard"
	stock := &models.Stock{Product: models.Product{ProductID: "card", Title: &title, Version: 4}, AsOf: time.Unix(1, 0)}
	var b strings.Builder
	require.NoError(t, Stocks(&b, []*models.Stock{stock}, places))
	assert.Equal(t, "card  Gift\ufffdcard\nIN_STOCK, not tracked, no stock level, version 4, as of 1970-01-01T00:00:01.000Z\n", b.String())
	b.Reset()
	require.NoError(t, StocksJSON(&b, nil, places))
	assert.Equal(t, "[]\n", b.String())
}

func TestClosedLocation(t *testing.T) {
	t.Parallel()
	stock := &models.Stock{Product: models.Product{ProductID: "mug", Tracked: true}, AsOf: time.Unix(1, 0), Levels: []models.Level{
		{LocationID: "lon", Quantities: models.Quantities{Available: 12, Incoming: 3}}, {LocationID: "Leeds", Active: true, Quantities: models.Quantities{SafetyStock: 1}},
	}}
	var b strings.Builder
	require.NoError(t, Stocks(&b, []*models.Stock{stock}, places))
	assert.Equal(t, `mug
OUT_OF_STOCK, 0 available, version 0, as of 1970-01-01T00:00:01.000Z
location              available  reserved  committed  safety stock  on hand  incoming
lon (London), closed         12         0          0             0       12         3
Leeds                         0         0          0             1        1         0
all                          12         0          0             1       13         3
`, b.String())
}
