package stockfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"onhand/models"
)

// parseID checks an id. It drops spaces around it, which spreadsheets add.
func parseID(column, value string) (string, error) {
	id := strings.TrimSpace(value)
	if id == "" {
		return "", fmt.Errorf("the %s is empty", column)
	}
	return id, checkText(column, id)
}

// checkText refuses text that the database does not accept.
func checkText(column, value string) error {
	if !utf8.ValidString(value) {
		return fmt.Errorf("the %s is not UTF-8; convert the file first", column)
	}
	if utf8.RuneCountInString(value) > models.IDLengthMax {
		return fmt.Errorf("the %s is longer than %d characters", column, models.IDLengthMax)
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("the %s has a control character", column)
	}
	return nil
}

// parseTitle replaces or cuts off what the database does not accept, because a
// title identifies nothing.
func parseTitle(value string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(value, "\ufffd"))
	if runes := []rune(clean); len(runes) > models.TextLengthMax {
		clean = string(runes[:models.TextLengthMax])
	}
	return strings.TrimSpace(strings.Clone(clean))
}

// parseCount parses a quantity. An empty cell gives none.
func parseCount(column, value string) (models.Count, error) {
	if value == "" {
		return models.Count{}, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return models.Count{}, fmt.Errorf("the %s %q is not a whole number", column, shorten(value))
	}
	return models.Counted(n), checkQuantity(column, n)
}

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
