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
	s := importExcerpt{dryRun: true}
	for i := range 60 {
		s.add(models.ImportedRow{Line: i + 2, ProductID: "mug", LocationID: "north", Outcome: models.ImportChanged, After: models.Quantities{Available: 1}})
		s.add(models.ImportedRow{Line: i + 2, Outcome: models.ImportUnreadable, Problem: "odd"})
	}
	lines := strings.Split(strings.TrimSpace(s.text()), "\n")
	assert.Len(t, lines, changesShownMax+problemsShownMax+1)
	assert.Equal(t, "line 2: mug at north: available 0 -> 1", lines[0])
	assert.Equal(t, "line 2: odd", lines[1])
	assert.Equal(t, fmt.Sprintf("and %d more; --report FILE lists every row", 120-changesShownMax-problemsShownMax), lines[len(lines)-1])
	assert.Equal(t, "the file has no rows", summaryLine(models.ImportSummary{}, false))
}
