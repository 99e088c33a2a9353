package stockfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"onhand/models"
)

// jsonRow is one line of JSON. Without "new" its quantities are what shall be there; with it, what was there.
type jsonRow struct {
	ProductID  string `json:"productId"`
	Title      string `json:"title,omitempty"`
	LocationID string `json:"locationId,omitempty"`
	jsonCounts
	New *jsonCounts `json:"new,omitempty"`
}

type jsonCounts struct {
	Available      *int `json:"available,omitempty"`
	Reserved       *int `json:"reserved,omitempty"`
	Committed      *int `json:"committed,omitempty"`
	Damaged        *int `json:"damaged,omitempty"`
	QualityControl *int `json:"qualityControl,omitempty"`
	SafetyStock    *int `json:"safetyStock,omitempty"`
	Incoming       *int `json:"incoming,omitempty"`
	OnHand         *int `json:"onHand,omitempty"`
}

// list is in the order of quantityColumns.
func (c *jsonCounts) list() []**int {
	return []**int{&c.Available, &c.Reserved, &c.Committed, &c.Damaged, &c.QualityControl, &c.SafetyStock, &c.Incoming, &c.OnHand}
}

func newJSONReader(r *bufio.Reader, format Format) (*Reader, error) {
	if format != Auto && format != JSONLines {
		return nil, fmt.Errorf("the file is %s, not %s", JSONLines, format)
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, headerSizeMax), recordSizeMax)
	number := 0
	return &Reader{Format: JSONLines, next: func() (models.StockRow, error) {
		for lines.Scan() {
			number++
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			row, err := parseJSON(lines.Bytes())
			row.Line = number
			if err != nil {
				row.Problem = err.Error()
			}
			return row, nil
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			return models.StockRow{}, fmt.Errorf("line %d is longer than %d bytes", number+1, recordSizeMax)
		case err != nil:
			return models.StockRow{}, fmt.Errorf("after line %d: %w", number, err)
		}
		return models.StockRow{}, io.EOF
	}}, nil
}

func parseJSON(line []byte) (row models.StockRow, err error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var raw jsonRow
	if err := decoder.Decode(&raw); err != nil {
		return row, plainJSONError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return row, errors.New("more than one JSON object in the line")
	}
	if row.ProductID, err = identifier("productId", raw.ProductID); err != nil {
		return row, err
	}
	row.Title, row.Location = title(raw.Title), strings.TrimSpace(raw.LocationID)
	if err := text("locationId", row.Location); err != nil {
		return row, err
	}
	wanted := raw.New
	if wanted == nil {
		wanted = &jsonCounts{}
	}
	for i, q := range quantityColumns {
		seen, err := pointed(q.name, *raw.list()[i])
		if err != nil {
			return row, err
		}
		after, err := pointed("new "+q.name, *wanted.list()[i])
		if err != nil {
			return row, err
		}
		if !q.settable && after.Given {
			return row, fmt.Errorf("%s belongs to holds and orders; a file cannot set it", q.name)
		}
		place(&row, q, seen, after, raw.New != nil)
	}
	return row, checkNew(row)
}

func pointed(name string, n *int) (models.Count, error) {
	if n == nil {
		return models.Count{}, nil
	}
	return models.Counted(*n), bounded(name, *n)
}

// plainJSONError says it without the words of Go.
func plainJSONError(err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Type.Kind().String() == "int":
		return fmt.Errorf("%s is not a whole number", kind.Field)
	case errors.As(err, &kind):
		return fmt.Errorf("%s is a JSON %s, which it cannot be", kind.Field, kind.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON object does not end")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}
