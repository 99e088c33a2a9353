package importreport

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"onhand/models"
)

// Increases reports whether a changed row is an increase: of what is available, or
// else of what is on hand, or else of the first state that differs.
func Increases(r models.ImportedRow) bool {
	deltas := []int{r.After.Available - r.Before.Available, r.After.OnHand() - r.Before.OnHand()}
	for _, s := range models.Settable {
		deltas = append(deltas, *r.After.Of(s)-*r.Before.Of(s))
	}
	i := slices.IndexFunc(deltas, func(delta int) bool { return delta != 0 })
	return i >= 0 && deltas[i] > 0
}

// Shows reports whether the row asks for nothing and shows other quantities than
// there are: its writer may have edited what is shown.
func Shows(r models.ImportedRow) bool {
	return r.Outcome == models.ImportUnchanged && !r.Sets && len(differences(r)) > 0
}

// Message describes in a sentence what happened to the row; empty where nothing
// happened.
func Message(r models.ImportedRow) string {
	text := sentence(r)
	if r.Note != "" && (r.Outcome == models.ImportCreated || r.Outcome == models.ImportUnchanged && r.LocationID == "") {
		text = strings.TrimPrefix(text+"; "+r.Note, "; ")
	}
	return text
}

func sentence(r models.ImportedRow) string {
	switch r.Outcome {
	case models.ImportUnchanged:
		if Shows(r) {
			return "asks for nothing; " + strings.Join(differences(r), ", ")
		}
	case models.ImportChanged:
		if !r.Compared {
			return changes(r) + "; not compared"
		}
		return changes(r)
	case models.ImportSimilar:
		return similar(r)
	case models.ImportCreated:
		return "stocked from now on: " + changes(r)
	case models.ImportSame:
		return fmt.Sprintf("the same as line %d", r.FirstLine)
	case models.ImportUnreadable:
		return r.Problem
	case models.ImportUnknownProduct:
		return fmt.Sprintf("no product %q; --create adds it", r.ProductID)
	case models.ImportUnknownLocation:
		return fmt.Sprintf("no location %q; --create adds it", r.LocationID)
	case models.ImportRepeated:
		return fmt.Sprintf("other rows, the first in line %d, ask for something else at the same product and location", r.FirstLine)
	case models.ImportStale:
		return stale(r)
	case models.ImportSuperseded:
		return "counted at " + moment(r.CountedAt) + ", and the level was counted later already, at " + moment(r.NewestCount)
	case models.ImportFuture:
		return "counted at " + moment(r.CountedAt) + ", which is in the future"
	case models.ImportTooOld:
		return "counted at " + moment(r.CountedAt) + ", and more happened since than is looked through, or it was more than 30 days ago; count again"
	case models.ImportTooLow:
		if r.CountedAt != nil {
			return countedTooLow(r)
		}
		return fmt.Sprintf("available would be %d: %d reserved, %d committed and %d unavailable are on hand already",
			r.After.Available, r.After.Reserved, r.After.Committed, r.After.Damaged+r.After.QualityControl+r.After.SafetyStock)
	case models.ImportTooHigh:
		return fmt.Sprintf("a level holds at most %d of each state", models.QuantityMax)
	}
	return ""
}

// countedTooLow lists the states that would be too low: more left them since they were
// counted.
func countedTooLow(r models.ImportedRow) string {
	var parts []string
	for _, s := range models.Settable {
		if to := *r.After.Of(s); to < 0 || s == models.Available && to < *r.Before.Of(s) && len(parts) == 0 {
			parts = append(parts, fmt.Sprintf("%s would be %d", words(s), to))
		}
	}
	return strings.Join(parts, ", ") + ", by the count of " + moment(r.CountedAt) + " and what came and went since"
}

func moment(t *time.Time) string {
	if t == nil {
		return "an unknown time"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// changes lists the states that differ.
func changes(r models.ImportedRow) string {
	var parts []string
	for _, s := range models.Settable {
		if from, to := *r.Before.Of(s), *r.After.Of(s); from != to {
			parts = append(parts, fmt.Sprintf("%s %d -> %d (%+d)", words(s), from, to, to-from))
		}
	}
	if len(parts) == 0 {
		return "nothing there"
	}
	return strings.Join(parts, ", ")
}

func stale(r models.ImportedRow) string {
	return strings.Join(differences(r), ", ") + "; export again, or --ignore-stale"
}

// differences lists what the file shows and is not so.
func differences(r models.ImportedRow) (parts []string) {
	for _, s := range models.Settable {
		if saw := r.Now.Of(s); saw.Given && saw.Units != *r.Before.Of(s) {
			parts = append(parts, fmt.Sprintf("%s was %d when the file was made and is %d", words(s), saw.Units, *r.Before.Of(s)))
		}
	}
	if saw := r.Now.OnHand; saw.Given && saw.Units != r.Before.OnHand() {
		parts = append(parts, fmt.Sprintf("on hand was %d when the file was made and is %d", saw.Units, r.Before.OnHand()))
	}
	return parts
}

// similar lists the pairs of ids.
func similar(r models.ImportedRow) string {
	var parts []string
	for _, pair := range []struct{ kind, id, known string }{{"product", r.ProductID, r.SimilarProduct}, {"location", r.LocationID, r.SimilarLocation}} {
		if pair.known != "" {
			parts = append(parts, fmt.Sprintf("the %s %q is new, and near to %q", pair.kind, pair.id, pair.known))
		}
	}
	return strings.Join(parts, ", ") + "; correct it, or --create-similar adds it"
}

func words(s models.State) string { return strings.ToLower(strings.ReplaceAll(string(s), "_", " ")) }
