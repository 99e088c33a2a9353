package database_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/importreport"
)

// importOf imports rows and returns the summary and the report.
func (s *shop) importOf(options models.ImportOptions, rows ...models.StockRow) (models.ImportSummary, []models.ImportedRow) {
	s.t.Helper()
	var report []models.ImportedRow
	summary, err := s.Import(context.Background(), listed(rows), options, func(r models.ImportedRow) error {
		report = append(report, r)
		return nil
	}, nil)
	require.NoError(s.t, err)
	return summary, report
}

// listed returns rows one by one, numbered as lines after a header.
func listed(rows []models.StockRow) func() (models.StockRow, error) {
	n := 0
	return func() (models.StockRow, error) {
		if n == len(rows) {
			return models.StockRow{}, io.EOF
		}
		row := rows[n]
		n++
		if row.Line == 0 {
			row.Line = n + 1
		}
		return row, nil
	}
}

func available(product, location string, units int) models.StockRow {
	return models.StockRow{ProductID: product, Location: location, New: models.Counts{Available: models.Counted(units)}}
}

// onHandOf sets on hand in a file that was made when another count was on hand.
func onHandOf(product, location string, saw, units int) models.StockRow {
	return models.StockRow{ProductID: product, Location: location, Now: models.Counts{OnHand: models.Counted(saw)}, New: models.Counts{OnHand: models.Counted(units)}}
}

func outcomes(report []models.ImportedRow) string {
	words := make([]string, len(report))
	for i, r := range report {
		words[i] = string(r.Outcome)
	}
	return strings.Join(words, ", ")
}

// contents counts everything that an import may change.
func (s *shop) contents() string {
	s.t.Helper()
	var text string
	query := `SELECT (SELECT count(*) FROM stock_movements) || ' movements, ' || (SELECT count(*) FROM outbox) || ' outbox, '
		|| (SELECT count(*) FROM products) || ' products, ' || (SELECT coalesce(sum(version), 0) FROM products) || ' versions, '
		|| (SELECT count(*) FROM locations) || ' locations, ' || (SELECT count(*) || ' levels, ' || coalesce(sum(available), 0) FROM stock_levels)`
	require.NoError(s.t, s.raw.QueryRow(query).Scan(&text))
	return text
}

func TestImportSetsCountsMovesAndVersions(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10, "south", 3)
		s.stock("cup", "north", 1)
		s.reserved(pinned("mug", 4, "north"))
		version, movements := s.read("mug").Version, s.number("SELECT count(*) FROM stock_movements")
		s.exec("DELETE FROM outbox")

		damaged := models.StockRow{ProductID: "cup", Location: "north", New: models.Counts{Damaged: models.Counted(2), Incoming: models.Counted(7)}}
		summary, report := s.importOf(models.ImportOptions{Reference: "count.csv"},
			onHandOf("mug", "north", 10, 12), available("mug", "south", 3), damaged, models.StockRow{ProductID: "mug", Location: "far"}, available("cup", "south", 5))
		assert.Equal(t, "changed, unchanged, changed, unchanged, created", outcomes(report))
		assert.Equal(t, models.ImportSummary{Rows: 5, Applied: true, Outcomes: map[models.ImportOutcome]int{"changed": 2, "unchanged": 2, "created": 1}}, summary)
		assert.Equal(t, "available 6 -> 8 (+2)", importreport.Message(report[0]), "reserved units stay on hand")
		assert.Equal(t, "damaged 0 -> 2 (+2), incoming 0 -> 7 (+7); not compared", importreport.Message(report[2]))
		assert.Equal(t, "stocked from now on: available 0 -> 5 (+5)", importreport.Message(report[4]))

		mug, cup := s.read("mug"), s.read("cup")
		assert.Equal(t, models.Quantities{Available: 8, Reserved: 4}, mug.Levels[0].Quantities)
		assert.Greater(t, mug.Version, version)
		assert.Equal(t, models.Quantities{Available: 1, Damaged: 2, Incoming: 7}, cup.Levels[0].Quantities)
		assert.Equal(t, models.Quantities{Available: 5}, cup.Levels[1].Quantities)
		assert.EqualValues(t, movements+3, s.number("SELECT count(*) FROM stock_movements"))
		assert.EqualValues(t, 3, s.number("SELECT count(*) FROM stock_movements m JOIN products p ON p.product_id = m.product_id AND m.version = p.version WHERE reason = 'IMPORT' AND reference = 'count.csv'"))
		assert.EqualValues(t, 2, s.number("SELECT count(DISTINCT product_id) FROM outbox"))
	})
}

func TestImportIsAllOrNothing(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		s.reserved(pinned("mug", 4, "north"))
		s.stock("cup", "north", 1)
		s.stock("jug", "north", 1)
		before := s.contents()
		rows := []models.StockRow{
			available("cup", "north", 9),      // fine
			onHandOf("mug", "north", 11, 12),  // stale
			onHandOf("mug", "south", 0, -1),   // too low
			available("tea", "north", 1),      // no such product
			available("cup", "mars", 1),       // no such location
			available("jug", "north", 5),      // two rows of one level
			available("jug", "north", 6),      // with different quantities
			{Line: 9, Problem: "a \x00 cell"}, // not readable
			available("cup", "far", models.QuantityMax+1),
			available("cup", "south", 2), available("cup", "south", 2),
		}
		for _, dry := range []bool{true, false} {
			summary, report := s.importOf(models.ImportOptions{DryRun: dry}, rows...)
			assert.Equal(t, "changed, stale, too low, unknown product, unknown location, repeated, repeated, unreadable, too high, created, same", outcomes(report))
			assert.False(t, summary.Applied)
			assert.Equal(t, 8, summary.Problems)
			assert.Equal(t, before, s.contents())
			for i, want := range map[int]string{
				1: "on hand was 11 when the file was made and is 10; export again, or --ignore-stale",
				2: "available would be -1: 0 reserved, 0 committed and 0 unavailable are on hand already",
				3: `no product "tea"; --create adds it`, 4: `no location "mars"; --create adds it`,
				6: "other rows, the first in line 7, ask for something else at the same product and location", 7: "a \ufffd cell",
				8: "a level holds at most 1000000000 of each state", 10: "the same as line 11",
			} {
				assert.Equal(t, want, importreport.Message(report[i]))
			}
		}
		summary, _ := s.importOf(models.ImportOptions{SkipBad: true}, rows...)
		assert.True(t, summary.Applied)
		assert.Equal(t, 9, s.read("cup").Levels[0].Available)
		assert.Equal(t, models.Quantities{Available: 6, Reserved: 4}, s.read("mug").Levels[0].Quantities)
		summary, _ = s.importOf(models.ImportOptions{IgnoreStale: true}, rows[1])
		assert.Zero(t, summary.Problems)
		assert.Equal(t, models.Quantities{Available: 8, Reserved: 4}, s.read("mug").Levels[0].Quantities)
		again, _ := s.importOf(models.ImportOptions{}, rows[1])
		assert.Zero(t, again.Problems, "the level has these quantities already")
		low, report := s.importOf(models.ImportOptions{}, onHandOf("mug", "north", 12, 3))
		assert.Equal(t, 1, low.Problems)
		assert.Equal(t, "available would be -1: 4 reserved, 0 committed and 0 unavailable are on hand already", importreport.Message(report[0]))
	})
}

func TestImportCreates(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		seen := models.Counts{Available: models.Counted(7), Committed: models.Counted(2), Unavailable: models.Counted(1), OnHand: models.Counted(10), Incoming: models.Counted(4)}
		edited := seen
		rows := []models.StockRow{
			{ProductID: "mug", Location: "north", Now: seen}, // exists; the row asks for no change
			{ProductID: "tea", Title: "Tea", Location: "north", Now: seen},
			{ProductID: "tea", Title: "Tea", Location: "Leeds", Now: edited, New: models.Counts{OnHand: models.Counted(12)}},
			{ProductID: "tea", Title: "Tea", Location: "south"}, // not stocked
			{ProductID: "oil", Location: "north", Now: models.Counts{Available: models.Counted(-2), Committed: models.Counted(3), Unavailable: models.Counted(0), OnHand: models.Counted(1)}},
			{ProductID: "fig"},
		}
		summary, _ := s.importOf(models.ImportOptions{}, rows...)
		assert.Equal(t, 5, summary.Problems)
		summary, _ = s.importOf(models.ImportOptions{Create: true, DryRun: true}, rows...)
		assert.Equal(t, 3, summary.Products)
		assert.Equal(t, 1, summary.Locations)
		summary, report := s.importOf(models.ImportOptions{Create: true}, rows...)
		require.Zero(t, summary.Problems, outcomes(report))
		assert.Equal(t, "unchanged, created, created, unchanged, created, unchanged", outcomes(report))
		assert.Equal(t, "stocked from now on: available 0 -> 7 (+7), quality control 0 -> 1 (+1), incoming 0 -> 4 (+4); 2 reserved or committed units are left out, for Onhand does not know their orders; 1 unavailable units begin in quality control", importreport.Message(report[1]))
		tea := s.read("tea")
		require.Len(t, tea.Levels, 2)
		assert.Equal(t, models.Quantities{Available: 7, QualityControl: 1, Incoming: 4}, tea.Levels[0].Quantities)
		assert.Equal(t, "Leeds", tea.Levels[1].LocationID)
		assert.Equal(t, models.Quantities{Available: 9, QualityControl: 1, Incoming: 4}, tea.Levels[1].Quantities, "of 12 on hand, 2 are sold elsewhere and 1 is unavailable")
		assert.Equal(t, "Tea", *tea.Title)
		assert.Zero(t, s.read("oil").Levels[0].Available)
		assert.Empty(t, s.read("fig").Levels)
		assert.Equal(t, 10, s.read("mug").Levels[0].Available)

		before := s.contents()
		again, _ := s.importOf(models.ImportOptions{Create: true}, rows[1], rows[3], rows[4], rows[5])
		assert.Equal(t, map[models.ImportOutcome]int{"unchanged": 4}, again.Outcomes)
		assert.Equal(t, before, s.contents(), "existing levels do not change")
	})
}

// An import finds a product by its SKU; by its handle and options where the SKU is empty
// or shared.
func TestImportFindsTheVariant(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		row := func(sku, variant string, units int) models.StockRow {
			r := available(sku, "north", units)
			r.Variant = variant
			return r
		}
		file := []models.StockRow{row("A", "shirt?Size=S", 1), row("TWICE", "shirt?Size=M", 2), row("TWICE", "shirt?Size=L", 3), row("", "mug?Title=Default+Title", 4)}
		summary, report := s.importOf(models.ImportOptions{Create: true}, file...)
		require.Zero(t, summary.Problems, outcomes(report))
		for id, units := range map[string]int{"A": 1, "shirt?Size=M": 2, "shirt?Size=L": 3, "mug?Title=Default+Title": 4} {
			require.NotNil(t, s.read(id), id)
			assert.Equal(t, units, s.read(id).Levels[0].Available, id)
		}
		// Part of the file, in which the SKU is unique, and a mug that has a SKU now: the same products.
		summary, report = s.importOf(models.ImportOptions{}, row("TWICE", "shirt?Size=L", 5), row("MUG", "mug?Title=Default+Title", 6), row("A", "mug?Title=Default+Title", 1))
		require.Zero(t, summary.Problems, outcomes(report))
		assert.Equal(t, 5, s.read("shirt?Size=L").Levels[0].Available)
		assert.Equal(t, 6, s.read("mug?Title=Default+Title").Levels[0].Available)
		assert.EqualValues(t, 4, s.number("SELECT count(*) FROM products"))
		_, report = s.importOf(models.ImportOptions{}, row("NEW", "hat?Title=Default+Title", 5), row("", "cap?Title=Default+Title", 6))
		assert.Equal(t, `no product "NEW"; --create adds it`, importreport.Message(report[0]))
		assert.Equal(t, `no product "cap?Title=Default+Title"; --create adds it`, importreport.Message(report[1]))
	})
}

// An error in the middle of the file, or of the report function, leaves the database
// unchanged.
func TestImportOfABrokenFile(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		before := s.contents()
		broken := errors.New("the disk is gone")
		n := 0
		_, err := s.Import(t.Context(), func() (models.StockRow, error) {
			if n++; n > 3000 {
				return models.StockRow{}, broken
			}
			return available("mug", "north", 5), nil
		}, models.ImportOptions{}, nil, nil)
		require.ErrorIs(t, err, broken)
		assert.NotContains(t, err.Error(), "INTERNAL", "the error is the one of the file")
		assert.Equal(t, before, s.contents())

		_, err = s.Import(t.Context(), listed([]models.StockRow{available("mug", "north", 5)}), models.ImportOptions{DryRun: true}, func(models.ImportedRow) error { return broken }, nil)
		require.ErrorIs(t, err, broken)
		ctx, cancel := context.WithCancel(t.Context())
		_, err = s.Import(ctx, func() (models.StockRow, error) { cancel(); return available("mug", "north", 5), nil }, models.ImportOptions{}, nil, nil)
		require.Error(t, err)
		assert.Equal(t, before, s.contents())
		summary, _ := s.importOf(models.ImportOptions{}, available("mug", "north", 5))
		assert.True(t, summary.Applied, "connections and locks are free again")
	})
}

// An import of more rows than one statement writes reports its progress.
func TestImportOfManyLevels(t *testing.T) {
	on(t, []string{postgres, sqlite}, func(t *testing.T, s *shop) {
		const products = 6000
		var rows []models.StockRow
		for i := range products {
			for _, location := range []string{"south", "north"} {
				rows = append(rows, available(fmt.Sprint("product-", products-i), location, i+1))
			}
		}
		var stages []string
		summary, err := s.Import(t.Context(), listed(rows), models.ImportOptions{Create: true}, nil, func(stage models.ImportStage, done, total int) {
			if n := len(stages); n == 0 || stages[n-1] != string(stage) {
				stages = append(stages, string(stage))
			}
		})
		require.NoError(t, err)
		assert.Equal(t, len(rows), summary.Outcomes[models.ImportCreated])
		assert.Equal(t, []string{"reading", "deciding", "writing"}, stages)
		assert.EqualValues(t, len(rows), s.number("SELECT count(*) FROM stock_movements WHERE reason = 'IMPORT'"))
		assert.EqualValues(t, 0, s.number(`SELECT count(*) FROM (SELECT product_id, lag(product_id) OVER (ORDER BY movement_id) AS before
			FROM stock_movements WHERE reason = 'IMPORT') m WHERE before > product_id`), "the ledger is in the order of products")
	})
}

// An import waits for a write that has not committed, and decides on the quantities
// after it.
func TestImportBesideAReservation(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		tx, err := s.raw.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.Exec("UPDATE stock_levels SET available = 4 WHERE product_id = 'mug'")
		require.NoError(t, err)
		done := make(chan models.ImportSummary, 1)
		go func() {
			summary, err := s.Import(context.Background(), listed([]models.StockRow{onHandOf("mug", "north", 10, 12)}), models.ImportOptions{}, nil, nil)
			assert.NoError(t, err)
			done <- summary
		}()
		require.Eventually(t, func() bool {
			return s.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") == 1
		}, generous, poll)
		require.NoError(t, tx.Commit())
		summary := <-done
		assert.Equal(t, 1, summary.Outcomes[models.ImportStale])
		assert.Equal(t, 4, s.read("mug").Levels[0].Available)
	})
}

func TestExportHandsOutEverything(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10, "south", 3)
		s.stock("Mug", "north", 1)
		s.stock("fig")
		var places []string
		var ids []string
		require.NoError(t, s.EachStock(t.Context(), func(locations []models.Location, products int) error {
			assert.Equal(t, 3, products)
			for _, l := range locations {
				places = append(places, l.LocationID)
			}
			return nil
		}, func(stock *models.Stock) error {
			ids = append(ids, stock.ProductID)
			got, want := timeless(stock), s.read(stock.ProductID)
			assert.ElementsMatch(t, want.Levels, got.Levels)
			got.Levels, want.Levels = nil, nil
			assert.Equal(t, want, got)
			return nil
		}))
		assert.Equal(t, []string{"north", "south", "far"}, places)
		assert.Equal(t, []string{"Mug", "fig", "mug"}, ids)
		enough := errors.New("enough")
		require.ErrorIs(t, s.EachStock(t.Context(), func([]models.Location, int) error { return enough }, nil), enough)
		require.ErrorIs(t, s.EachStock(t.Context(), func([]models.Location, int) error { return nil }, func(*models.Stock) error { return enough }), enough)
		s.stock("new", "north", 1) // the connection is not left read-only
	})
}
