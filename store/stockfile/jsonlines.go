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

// jsonRow is one line of JSON. A line with "new" is compared: its own quantities
// are those when the file was made. Otherwise they are those to set.
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

// fields lists the counts in the order of quantityColumns.
func (c *jsonCounts) fields() []**int {
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
			row, err := parseJSONRow(lines.Bytes())
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

func parseJSONRow(line []byte) (row models.StockRow, err error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var parsed jsonRow
	if err := decoder.Decode(&parsed); err != nil {
		return row, explainJSONError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return row, errors.New("more than one JSON object in the line")
	}
	if row.ProductID, err = parseID("productId", parsed.ProductID); err != nil {
		return row, err
	}
	row.Title, row.Location = parseTitle(parsed.Title), strings.TrimSpace(parsed.LocationID)
	if err := checkText("locationId", row.Location); err != nil {
		return row, err
	}
	newCounts := parsed.New
	if newCounts == nil {
		newCounts = &jsonCounts{}
	}
	for i, q := range quantityColumns {
		count, err := countOf(q.name, *parsed.fields()[i])
		if err != nil {
			return row, err
		}
		newCount, err := countOf("new "+q.name, *newCounts.fields()[i])
		if err != nil {
			return row, err
		}
		if !q.settable && newCount.Given {
			return row, fmt.Errorf("%s belongs to reservations and orders; a file cannot set it", q.name)
		}
		setCounts(&row, q, count, newCount, parsed.New != nil)
	}
	return row, checkNew(row)
}

// countOf is the count of a field; nil gives none.
func countOf(name string, n *int) (models.Count, error) {
	if n == nil {
		return models.Count{}, nil
	}
	return models.Counted(*n), checkQuantity(name, *n)
}

// explainJSONError says what is wrong without Go's terms.
func explainJSONError(err error) error {
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

// newJSONWriter writes one object a line, with an empty "new" to fill in.
func newJSONWriter(w io.Writer) *Writer {
	buffered := bufio.NewWriter(w)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	out := &Writer{flush: buffered.Flush}
	out.write = func(s *models.Stock) error {
		levels := levelsByLocation(s)
		if len(levels) == 0 {
			out.rows++
			return encoder.Encode(jsonRow{ProductID: s.ProductID, Title: titleOf(s), New: &jsonCounts{}})
		}
		for _, l := range levels {
			row := jsonRow{ProductID: s.ProductID, Title: titleOf(s), LocationID: l.LocationID, New: &jsonCounts{}}
			for i, n := range quantitiesOf(l.Quantities) {
				*row.fields()[i] = &n
			}
			out.rows++
			if err := encoder.Encode(row); err != nil {
				return err
			}
		}
		return nil
	}
	return out
}
