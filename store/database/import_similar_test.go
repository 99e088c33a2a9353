package database_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/importreport"
)

// TestImportRefusesTwins: with Create, an id that is near to a known one, or to one
// of an earlier line, is refused with the pair, and nothing is written.
func TestImportRefusesTwins(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		summary, _ := s.importOf(models.ImportOptions{Create: true},
			available("0017", "London", 5), available("90.750", "London", 5), available("1E5", "London", 5), available("5012345678900", "London", 5))
		require.True(t, summary.Applied)
		near := []models.StockRow{
			available("17", "London", 1), available("90.75", "London", 1), available("1.00E+05", "London", 1), available("5.01235E+12", "London", 1),
			available("0017", "LONDON", 1), available("new", "Lon don", 1), available("cup", "London", 1), available("CUP", "London", 1), {ProductID: "Cup"},
		}
		summary, report := s.importOf(models.ImportOptions{Create: true}, near...)
		assert.Equal(t, "similar, similar, similar, similar, similar, similar, created, similar, similar", outcomes(report))
		assert.False(t, summary.Applied)
		assert.Equal(t, `the product "17" is new, and near to "0017"; correct it, or --create-similar adds it`, importreport.Message(report[0]))
		assert.Equal(t, `the location "LONDON" is new, and near to "London"; correct it, or --create-similar adds it`, importreport.Message(report[4]))
		assert.Contains(t, importreport.Message(report[7]), `"CUP" is new, and near to "cup"`)
		dry, _ := s.importOf(models.ImportOptions{Create: true, DryRun: true}, near...)
		assert.Equal(t, summary.Outcomes, dry.Outcomes)

		summary, report = s.importOf(models.ImportOptions{Create: true, SkipBad: true}, near...)
		assert.Equal(t, 8, summary.Problems)
		assert.Equal(t, []int{1, 0}, []int{summary.Products, summary.Locations}, "the cup alone")
		require.Len(t, report, 9)

		summary, report = s.importOf(models.ImportOptions{Create: true, CreateSimilar: true}, near...)
		assert.Equal(t, "created, created, created, created, created, created, unchanged, created, unchanged", outcomes(report))
		assert.True(t, summary.Applied)
		summary, _ = s.importOf(models.ImportOptions{Create: true}, near...)
		assert.Zero(t, summary.Problems, "what is known is never near to another")
	})
}

// TestImportRefusesANameAsAnID: a location's name is not the id of a new one.
func TestImportRefusesANameAsAnID(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		name := "UK warehouse"
		s.exec("INSERT INTO locations (location_id, name) VALUES ('wh-1', 'UK warehouse')")
		for _, id := range []string{name, "uk warehouse", "WH-1", "UKwarehouse"} {
			_, report := s.importOf(models.ImportOptions{Create: true}, available("mug", id, 5))
			assert.Equal(t, "similar", outcomes(report), id)
		}
		_, report := s.importOf(models.ImportOptions{Create: true}, available("mug", name, 5))
		assert.Contains(t, importreport.Message(report[0]), `the location "UK warehouse" is new, and near to "wh-1 (UK warehouse)"`)
	})
}

// TestImportFindsTwinsAmongMany: the search reads all pages of known ids (knownPageRows).
func TestImportFindsTwinsAmongMany(t *testing.T) {
	if testing.Short() {
		t.Skip("tens of thousands of products")
	}
	onEvery(t, func(t *testing.T, s *shop) {
		const n = 11_000
		rows := make([]models.StockRow, n)
		for i := range rows {
			rows[i] = available(fmt.Sprintf("SKU-%05d", i), "north", 1)
		}
		summary, _ := s.importOf(models.ImportOptions{Create: true}, rows...)
		require.Zero(t, summary.Problems)
		for i := range rows {
			rows[i] = available(fmt.Sprintf("sku-%05d", i), "north", 1)
		}
		summary, _ = s.importOf(models.ImportOptions{Create: true}, rows...)
		assert.Equal(t, n, summary.Outcomes[models.ImportSimilar])
	})
}

// TestImportSaysWhoAndWhy: movements have the note and the actor of the import.
func TestImportSaysWhoAndWhy(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.importOf(models.ImportOptions{Create: true, Reference: "count.csv", Note: "shelf 7", Actor: "alice"}, available("mug", "north", 5))
		assert.EqualValues(t, 1, s.number("SELECT count(*) FROM stock_movements WHERE reference = 'count.csv' AND note = 'shelf 7' AND actor = 'alice'"))
	})
}
