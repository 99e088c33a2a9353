package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database/decide/rowjson"
	"onhand/store/database/dialect"
)

// Switches are those of one engine: another one that is open keeps its own. A switch
// does not change the bytes of reservation lines.
func TestSwitchesAreOfOneEngine(t *testing.T) {
	t.Parallel()
	on, off := &Engine{}, &Engine{without: dialect.Switches{NoHandwrittenJSON: true}}
	require.Equal(t, rowjson.JSON{}, on.json())
	require.Equal(t, rowjson.JSON{Std: true}, off.json())

	lines := []models.ReservationLine{{ProductID: "mug", Requested: 2, Quantity: 2, Allocations: []models.Allocation{{LocationID: "north", Quantity: 2}}}}
	byHand, std := linesColumn(1, on.json()), linesColumn(1, off.json())
	byHand.lines(lines)
	std.lines(lines)
	require.Equal(t, std.array(), byHand.array())
}
