package stockfile

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"onhand/models"
)

// parseID checks an id. Ids are compared as they are: what a spreadsheet added to
// one is a problem, not something to drop.
func parseID(column, value string) (string, error) {
	if strings.TrimSpace(value) == "" {
		return "", fmt.Errorf("the %s is empty", column)
	}
	return value, checkID(column, value)
}

// parseProductID is parseID for a product.
func parseProductID(column, value string) (string, error) {
	if problem := models.CheckProductID(value); problem != "" && strings.TrimSpace(value) != "" {
		return "", fmt.Errorf("the %s %s", column, problem)
	}
	return parseID(column, value)
}

// checkID refuses an id that the API refuses too.
func checkID(column, value string) error {
	if problem := models.CheckID(value); problem != "" {
		return fmt.Errorf("the %s %s", column, problem)
	}
	return nil
}

// parseTitle makes a title that can be stored, because a title identifies nothing.
// note says what it changed.
func parseTitle(value string) (title, note string) {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, value)
	if clean != value {
		note = "line breaks and control characters of the title became blanks"
	}
	clean = strings.TrimSpace(clean)
	if utf8.RuneCountInString(clean) > models.TextLengthMax {
		clean = strings.TrimSpace(string([]rune(clean)[:models.TextLengthMax]))
		note = strings.TrimPrefix(note+fmt.Sprintf("; the title was cut to %d characters", models.TextLengthMax), "; ")
	}
	return clean, note
}

// wholeNumber are the spellings of a whole number that other programs write: '7 of a
// spreadsheet that keeps it as text, +7, 007, and 7.0 or 7,00 of one that keeps
// fractions. Three zeros after the point could be thousands.
var wholeNumber = regexp.MustCompile(`^'?([+-]?[0-9]{1,18})([.,]0{1,2})?$`)

// parseCount parses a quantity. An empty cell gives none.
func parseCount(column, value string) (models.Count, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return models.Count{}, nil
	}
	if n, err := strconv.Atoi(value); err == nil {
		return models.Counted(n), checkQuantity(column, n)
	}
	parts := wholeNumber.FindStringSubmatch(value)
	if parts == nil {
		return models.Count{}, fmt.Errorf("the %s %q is not a whole number%s", column, shorten(value), hint(value))
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return models.Count{}, fmt.Errorf("the %s %q is not a whole number", column, shorten(value))
	}
	return models.Counted(n), checkQuantity(column, n)
}

// parseMoment parses the time of a count: RFC 3339, with T or a blank between date and time.
// An empty cell gives none.
func parseMoment(column, value string) (*time.Time, error) {
	text := strings.ToUpper(strings.TrimPrefix(strings.TrimSpace(value), "'"))
	if text == "" {
		return nil, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			at = at.UTC()
			return &at, nil
		}
	}
	return nil, fmt.Errorf("the %s %q is not a time with its zone, such as 2026-01-05T12:05:57Z or 2026-01-05T13:05:57+01:00", column, shorten(value))
}

// hint says how to write a number that a reader would understand and the program
// does not guess.
func hint(value string) string {
	switch {
	case strings.ContainsAny(value, "\u2212\u2013\u2010\u2011"):
		return `; write a number below zero with the sign "-" of the keyboard`
	case grouped.MatchString(value):
		return "; write thousands without a separator"
	case scientific.MatchString(value):
		return "; a spreadsheet that writes it so may have rounded it"
	}
	return ""
}

var (
	grouped    = regexp.MustCompile(`^[+-]?[0-9]{1,3}([.,' \x{a0}\x{202f}\x{2019}][0-9]{3})+$`)
	scientific = regexp.MustCompile(`^[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+$`)
)

func checkQuantity(column string, n int) error {
	if n < -models.QuantityMax || n > models.QuantityMax {
		return fmt.Errorf("the %s %d is outside ±%d", column, n, models.QuantityMax)
	}
	return nil
}

// shorten keeps a message readable, whatever a cell contains.
func shorten(value string) string {
	const runesMax = 40
	if runes := []rune(value); len(runes) > runesMax {
		return string(runes[:runesMax]) + "…"
	}
	return value
}

// checkNew refuses quantities that can never be set.
func checkNew(row models.StockRow) error {
	if row.New.Available.Given && row.New.OnHand.Given {
		return errors.New("give what is available or what is on hand, not both: one follows from the other")
	}
	for _, s := range models.Settable {
		if n := row.New.Of(s); s != models.Available && n.Given && n.Units < 0 {
			return fmt.Errorf("%s cannot be %d", strings.ToLower(strings.ReplaceAll(string(s), "_", " ")), n.Units)
		}
	}
	if row.Location == "" && (row.New.Any() || row.Now.Any()) {
		return errors.New("the row has quantities and no location")
	}
	return nil
}

// checkShown refuses a row of a compared file whose quantities do not add up: its
// writer changed what is shown instead of what is to be.
func checkShown(row models.StockRow, compared bool) error {
	if !compared || !row.Now.OnHand.Given {
		return nil
	}
	now, sum := row.Now, 0
	for _, s := range []models.State{models.Available, models.Reserved, models.Committed, models.Damaged, models.QualityControl, models.SafetyStock} {
		count := now.Of(s)
		if !count.Given {
			return nil
		}
		sum += count.Units
	}
	if now.OnHand.Units != sum {
		return fmt.Errorf("on_hand is %d, and the states on hand add up to %d; to change stock, write the new quantity (available_new, on_hand_new, new) and leave the others alone", now.OnHand.Units, sum)
	}
	return nil
}
