package database_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/importreport"
	"onhand/store/database/decide/counting"
)

// countedRow is a row of a file that was counted at a moment.
func countedRow(at time.Time, row models.StockRow) models.StockRow {
	row.CountedAt = &at
	return row
}

// A row of a file with the time of its count keeps what was sold and received since, for
// a state and for all that is on hand. What the file shows is not compared.
func TestImportCountedEarlier(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10, "south", 20)
		s.stock("cup", "north", 10)
		at := s.moment()
		s.ok(resolve(s.ok(resolve(s.reserved(pinned("mug", 3, "north")).ID, models.ReservationCommitted)).Reservation.ID, models.ReservationFulfilled))
		s.reserved(pinned("mug", 2, "north"))
		s.ok(adjust(delta("cup", "north", models.Available, 5), delta("cup", "north", models.Damaged, 1), delta("mug", "south", models.Available, 1)))
		_, report := s.importOf(models.ImportOptions{Reference: "count.csv"},
			countedRow(at, onHandOf("mug", "north", 99, 8)), // 2 were missing, and 3 left since
			countedRow(at, models.StockRow{ProductID: "cup", Location: "north", New: models.Counts{Damaged: models.Counted(2), Available: models.Counted(10)}}), // 2 more are damaged
			available("mug", "south", 30),
			countedRow(at, models.StockRow{ProductID: "mug", Location: "far", Now: models.Counts{Available: models.Counted(1)}}),
		)
		assert.Equal(t, "changed, changed, changed, unchanged", outcomes(report))
		assert.Equal(t, "available 5 -> 3 (-2)", importreport.Message(report[0]))
		assert.Equal(t, "damaged 1 -> 3 (+2)", importreport.Message(report[1]))
		assert.Equal(t, "available 21 -> 30 (+9); not compared", importreport.Message(report[2]))
		assert.Equal(t, models.Quantities{Available: 3, Reserved: 2}, s.level("mug", "north"))
		assert.Equal(t, models.Quantities{Available: 15, Damaged: 3}, s.level("cup", "north"))
		last := map[string]models.StockMovement{}
		for _, m := range s.movements("") {
			last[m.ProductID+" "+m.LocationID] = m
		}
		assert.Equal(t, models.ReasonCycleCount, last["mug north"].Reason)
		assert.Equal(t, "count.csv", last["cup north"].Reference)
		assert.Equal(t, models.ReasonImport, last["mug south"].Reason)

		// The file again has no effect, and an API's count of the same moment neither.
		_, report = s.importOf(models.ImportOptions{CountedAt: &at}, onHandOf("mug", "north", 99, 8))
		assert.Equal(t, "unchanged", outcomes(report))
		s.ok(counted(countedAt(at, row("cup", "north", models.Damaged, 2)), countedAt(at, row("cup", "north", models.Available, 10))))
		assert.Equal(t, models.Quantities{Available: 15, Damaged: 3}, s.level("cup", "north"))
		s.superseded(s.do(counted(countedAt(at, row("mug", "south", models.Available, 20)))), 0, at)
	})
}

// An older count loses to a newer one of the API or of a file, a file's to an API's, and
// a file that says no time counts when it is imported.
func TestImportSupersededCounts(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10, "south", 20)
		early := s.moment()
		s.ok(adjust(delta("mug", "north", models.Available, 4)))
		late := s.moment()
		s.ok(counted(countedAt(late, row("mug", "north", models.Available, 12)), countedAt(late, row("mug", "south", models.Damaged, 1))))
		rows := []models.StockRow{
			countedRow(early, available("mug", "north", 9)), countedRow(early, onHandOf("mug", "south", 20, 19)), countedRow(early, models.StockRow{ProductID: "mug", Location: "far", New: models.Counts{Available: models.Counted(3)}}),
		}
		before := s.levels()
		summary, report := s.importOf(models.ImportOptions{Create: true}, rows...)
		assert.False(t, summary.Applied)
		assert.Equal(t, "superseded, superseded, created", outcomes(report))
		assert.Equal(t, "counted at "+counting.Text(early)+", and the level was counted later already, at "+counting.Text(late), importreport.Message(report[0]))
		require.Equal(t, before, s.levels())
		_, report = s.importOf(models.ImportOptions{Create: true, SkipBad: true, DryRun: true}, rows...)
		assert.Equal(t, "superseded, superseded, created", outcomes(report))
		require.Equal(t, before, s.levels())
		s.importOf(models.ImportOptions{Create: true, SkipBad: true}, rows...)
		assert.Equal(t, 3, s.level("mug", "far").Available)

		s.importOf(models.ImportOptions{CountedAt: &late}, available("mug", "north", 13))
		assert.Equal(t, 13, s.level("mug", "north").Available, "the same moment")
		s.superseded(s.do(counted(countedAt(early, row("mug", "north", models.Available, 9)))), 0, late)
		after := s.moment()
		s.importOf(models.ImportOptions{}, available("mug", "north", 7))
		s.superseded(s.do(counted(countedAt(after, row("mug", "north", models.Available, 9)))), 0, after)
		_, report = s.importOf(models.ImportOptions{}, countedRow(after, available("mug", "north", 9)))
		assert.Equal(t, "superseded", outcomes(report))
	})
}

// Counts of a file that were not written yet correct the same units once, of files and of the
// API, and rows of one level with two moments are refused.
func TestImportCountsInTurn(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		first, second := s.moment(), s.moment()
		s.importOf(models.ImportOptions{}, countedRow(first, available("mug", "north", 8)))
		s.ok(counted(countedAt(second, row("mug", "north", models.Available, 8))))
		require.Equal(t, 8, s.level("mug", "north").Available)
		s.importOf(models.ImportOptions{}, countedRow(second, onHandOf("mug", "north", 0, 7)))
		require.Equal(t, 7, s.level("mug", "north").Available)
		s.importOf(models.ImportOptions{}, countedRow(second, onHandOf("mug", "north", 0, 7)))
		require.Equal(t, 7, s.level("mug", "north").Available)
		_, report := s.importOf(models.ImportOptions{}, countedRow(first, available("mug", "north", 5)), countedRow(second, available("mug", "north", 5)))
		assert.Equal(t, "repeated, repeated", outcomes(report))
		_, report = s.importOf(models.ImportOptions{}, countedRow(second, available("mug", "north", 6)), countedRow(second, available("mug", "north", 6)))
		assert.Equal(t, "changed, same", outcomes(report))
		require.Equal(t, 6, s.level("mug", "north").Available)
	})
}

// Moments that cannot be counted, and counts that leave too little, are problems of their
// rows.
func TestImportBoundsOfACount(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10, "south", 10)
		s.ok(adjust(delta("mug", "south", models.Damaged, 3)))
		at := s.moment()
		s.reserved(pinned("mug", 8, "north"))
		s.ok(adjust(delta("mug", "south", models.Damaged, -2)))
		_, report := s.importOf(models.ImportOptions{},
			countedRow(s.now().Add(time.Minute), available("mug", "north", 3)),
			countedRow(s.now().Add(-counting.AgeMax-time.Second), available("mug", "south", 3)))
		assert.Equal(t, "future, too old", outcomes(report))
		_, report = s.importOf(models.ImportOptions{}, countedRow(at, available("mug", "north", 7)), countedRow(at, models.StockRow{ProductID: "mug", Location: "south", New: models.Counts{Damaged: models.Counted(1)}}))
		assert.Equal(t, "too low, too low", outcomes(report))
		assert.Equal(t, "available would be -1, by the count of "+counting.Text(at)+" and what came and went since", importreport.Message(report[0]))
		assert.Equal(t, "damaged would be -1, by the count of "+counting.Text(at)+" and what came and went since", importreport.Message(report[1]))
		s.importOf(models.ImportOptions{}, countedRow(s.now().Add(counting.SkewMax-time.Second), available("mug", "north", 3)))
		require.Equal(t, 3, s.level("mug", "north").Available)
		s.ok(counted(row("mug", "north", models.Available, 4)))
		s.ok(counted(countedAt(s.moment(), row("mug", "north", models.Available, 5))))
	})
}

// Many rows are looked up in pages, each row once.
func TestImportManyCounts(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		n := 2_100
		if s.kind == postgres {
			n = 20_100
		}
		rows := make([]models.StockRow, n)
		for i := range rows {
			rows[i] = available(fmt.Sprintf("product %d", i), "north", 10)
		}
		s.importOf(models.ImportOptions{Create: true}, rows...)
		at := s.moment()
		s.ok(adjust(delta(fmt.Sprintf("product %d", n-1), "north", models.Available, 5)))
		for i := range rows {
			rows[i].Line, rows[i].New.Available = 0, models.Counted(9)
		}
		summary, _ := s.importOf(models.ImportOptions{CountedAt: &at}, rows...)
		require.Equal(t, map[models.ImportOutcome]int{models.ImportChanged: n}, summary.Outcomes)
		require.Equal(t, 9, s.level("product 0", "north").Available)
		require.Equal(t, 14, s.level(fmt.Sprintf("product %d", n-1), "north").Available)
		require.EqualValues(t, n, s.number("SELECT count(*) FROM stock_counts"))
	})
}
