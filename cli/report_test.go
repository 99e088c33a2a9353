package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"onhand/models"
)

func TestImportExcerpt(t *testing.T) {
	t.Parallel()
	for _, dryRun := range []bool{true, false} {
		s := importExcerpt{dryRun: dryRun}
		for i := range 60 {
			s.add(models.ImportedRow{Line: i + 2, ProductID: "mug", LocationID: "north", Outcome: models.ImportChanged, Compared: true, Before: models.Quantities{Available: 8}, After: models.Quantities{Available: 5}})
			s.add(models.ImportedRow{Line: i + 2, Outcome: models.ImportUnreadable, Problem: "odd"})
		}
		lines := strings.Split(strings.TrimSpace(s.text()), "\n")
		assert.Len(t, lines, changesShownMax+problemsShownMax+1)
		assert.Equal(t, "line 2: mug at north: available 8 -> 5 (-3)", lines[0])
		assert.Equal(t, "line 2: odd", lines[1])
		assert.Equal(t, fmt.Sprintf("and %d more; --report FILE lists every row", 120-changesShownMax-problemsShownMax), lines[len(lines)-1])
		s.report = "r.csv"
		assert.Contains(t, s.text(), "more; r.csv lists every row\n")
	}
}

// TestImportSummary: the counts of increases, decreases, unchanged, created and
// refused rows are always there, and what was not compared is said.
func TestImportSummary(t *testing.T) {
	t.Parallel()
	level := func(available, damaged, incoming int) models.Quantities {
		return models.Quantities{Available: available, Damaged: damaged, Incoming: incoming}
	}
	e := importExcerpt{}
	for _, change := range [][2]models.Quantities{
		{level(5, 0, 0), level(8, 0, 0)}, {level(8, 0, 0), level(5, 3, 0)}, {level(5, 0, 0), level(5, 2, 0)}, {level(5, 2, 7), level(5, 2, 1)},
	} {
		e.add(models.ImportedRow{Outcome: models.ImportChanged, Compared: true, Before: change[0], After: change[1]})
	}
	summary := models.ImportSummary{Rows: 10, Problems: 3, Applied: true, Products: 1, Outcomes: map[models.ImportOutcome]int{
		models.ImportChanged: 4, models.ImportUnchanged: 1, models.ImportSame: 1, models.ImportCreated: 1, models.ImportSimilar: 2, models.ImportStale: 1,
	}}
	assert.Equal(t, "10 rows: 2 increases, 2 decreases, 2 unchanged, 1 created, 3 refused (1 stale, 2 similar); 1 new products, 0 new locations", e.summary(summary))
	e = importExcerpt{dryRun: true}
	e.add(models.ImportedRow{Outcome: models.ImportChanged, Before: level(5, 0, 0), After: level(8, 0, 0)})
	e.add(models.ImportedRow{Outcome: models.ImportUnchanged, Before: level(5, 0, 0), Now: models.Counts{Available: models.Counted(6)}})
	assert.Equal(t, "2 rows: 1 increase, 0 decreases, 1 unchanged, 0 created, 0 refused; 1 change not compared: the file does not say what was there; "+
		"1 row asks for nothing and shows other quantities than there are: write new quantities into the columns for them (dry run: nothing was changed)",
		e.summary(models.ImportSummary{Rows: 2, Outcomes: map[models.ImportOutcome]int{models.ImportChanged: 1, models.ImportUnchanged: 1}}))
	e = importExcerpt{}
	assert.Equal(t, "1 rows: 0 increases, 0 decreases, 0 unchanged, 0 created, 1 refused (1 stale) (nothing was changed)",
		e.summary(models.ImportSummary{Rows: 1, Problems: 1, Outcomes: map[models.ImportOutcome]int{models.ImportStale: 1}}))
	assert.Equal(t, "the file has no rows", e.summary(models.ImportSummary{Applied: true}))
}
