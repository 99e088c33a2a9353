package stockfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"onhand/models"
	"onhand/store/stockfile/delimited"
)

// jsonRow is one written line of JSON. A line with "new" is compared: its own
// quantities are those when the file was made. Otherwise they are those to set.
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

// jsonNames are the names of the counts in JSON, in the order of quantityColumns.
var jsonNames = []string{"available", "reserved", "committed", "damaged", "qualityControl", "safetyStock", "incoming", "onHand"}

func newJSONReader(lines *delimited.Lines, format Format) (*Reader, error) {
	if format != Auto && format != JSONLines {
		return nil, fmt.Errorf("the file is %s, not %s", JSONLines, format)
	}
	return &Reader{Format: JSONLines, next: func() (models.StockRow, error) {
		for {
			line, err := lines.Next()
			if err != nil {
				return models.StockRow{}, err
			}
			if line.Problem == "" && strings.TrimSpace(line.Text) == "" {
				continue
			}
			row := models.StockRow{Problem: line.Problem}
			if line.Problem == "" {
				if row, err = parseJSONRow(line.Text); err != nil {
					row.Problem = err.Error()
				}
			}
			row.Line, row.LastLine = line.Number, line.Number
			return row, nil
		}
	}}, nil
}

// parseJSONRow parses one line. Its quantities are spelled as in CSV, or are JSON
// numbers.
func parseJSONRow(line string) (row models.StockRow, err error) {
	object, err := parseObject(line)
	if err != nil {
		return row, err
	}
	var newObject jsonObject
	texts := map[string]string{}
	for _, f := range object {
		switch {
		case f.name == "new" && f.object != nil:
			newObject = f.object
		case f.name == "productId" || f.name == "title" || f.name == "locationId" || f.name == "countedAt":
			if f.object != nil || f.number || f.other {
				return row, fmt.Errorf("%s is %s and must be a text in quotes", f.name, f.kind())
			}
			texts[f.name] = f.text
		case !slices.Contains(jsonNames, f.name):
			return row, fmt.Errorf("the field %q is not known; there are productId, title, locationId, countedAt, %s, new", shorten(f.name), strings.Join(jsonNames, ", "))
		}
	}
	if row.ProductID, err = parseProductID("productId", texts["productId"]); err != nil {
		return row, err
	}
	if row.Location, err = parseLocationID("locationId", texts["locationId"]); err != nil {
		return row, err
	}
	if row.CountedAt, err = parseMoment("countedAt", texts["countedAt"]); err != nil {
		return row, err
	}
	row.Title, row.Note = parseTitle(texts["title"])
	compared := newObject != nil
	for _, f := range newObject {
		if !slices.Contains(jsonNames, f.name) {
			return row, fmt.Errorf("the field %q in new is not known; there are %s", shorten(f.name), strings.Join(jsonNames, ", "))
		}
	}
	for i, q := range quantityColumns {
		count, err := object.count(jsonNames[i])
		if err != nil {
			return row, err
		}
		newCount, err := newObject.count(jsonNames[i])
		if err != nil {
			return row, fmt.Errorf("in new: %w", err)
		}
		if !q.settable && newCount.Given {
			return row, fmt.Errorf("%s belongs to reservations and orders; a file cannot set it", jsonNames[i])
		}
		setCounts(&row, q, count, newCount, compared)
	}
	return row, errors.Join(checkShown(row, compared), checkNew(row))
}

// jsonField is one field of an object: a text, a number, an object, or another
// value, as it is written. null is an empty text.
type jsonField struct {
	name, text    string
	number, other bool
	object        jsonObject
}

func (f jsonField) kind() string {
	switch {
	case f.object != nil:
		return "an object"
	case f.number:
		return "the number " + shorten(f.text)
	}
	return shorten(f.text)
}

type jsonObject []jsonField

// count parses the field of that name; none gives no count.
func (o jsonObject) count(name string) (models.Count, error) {
	i := slices.IndexFunc(o, func(f jsonField) bool { return f.name == name })
	if i < 0 {
		return models.Count{}, nil
	}
	f := o[i]
	switch {
	case f.object != nil || f.other:
		return models.Count{}, fmt.Errorf("%s is %s and not a whole number", name, f.kind())
	case !f.number:
		return parseCount(name, f.text)
	}
	n, err := strconv.ParseFloat(f.text, 64) // exact for each whole number within the bounds
	if err != nil || n != math.Trunc(n) {
		return models.Count{}, fmt.Errorf("the %s %s is not a whole number", name, shorten(f.text))
	}
	if n < -models.QuantityMax || n > models.QuantityMax {
		return models.Count{}, fmt.Errorf("the %s %s is outside ±%d", name, shorten(f.text), models.QuantityMax)
	}
	return models.Counted(int(n)), nil
}

// parseObject parses a line that is one JSON object. Objects may be one in another.
func parseObject(line string) (jsonObject, error) {
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("the line is not a JSON object")
	}
	object, err := parseFields(decoder, line, true)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(line[decoder.InputOffset():]) != "" {
		return nil, errors.New("more than one JSON object in the line")
	}
	return object, nil
}

// fieldsMax bounds the fields of an object, at twice those that there are.
const fieldsMax = 24

func parseFields(decoder *json.Decoder, line string, outer bool) (jsonObject, error) {
	object := jsonObject{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, jsonProblem(decoder, line, err)
		}
		f := jsonField{name: token.(string)} // the decoder has no other names
		if slices.ContainsFunc(object, func(g jsonField) bool { return g.name == f.name }) {
			return nil, fmt.Errorf("the field %s is there twice", shorten(f.name))
		}
		if len(object) == fieldsMax {
			return nil, fmt.Errorf("more than %d fields", fieldsMax)
		}
		from := decoder.InputOffset()
		if token, err = decoder.Token(); err != nil {
			return nil, jsonProblem(decoder, line, err)
		}
		switch value := token.(type) {
		case string:
			f.text = value
			if loneSurrogate.MatchString(line[from:decoder.InputOffset()]) && strings.ContainsRune(value, unicode.ReplacementChar) {
				return nil, fmt.Errorf("%s has half a character, which is no text", shorten(f.name))
			}
		case json.Number:
			f.text, f.number = value.String(), true
		case bool:
			f.text, f.other = strconv.FormatBool(value), true
		case json.Delim:
			if value != '{' || !outer {
				return nil, fmt.Errorf("%s is a list or an object, which it cannot be", shorten(f.name))
			}
			if f.object, err = parseFields(decoder, line, false); err != nil {
				return nil, err
			}
		}
		object = append(object, f)
	}
	_, err := decoder.Token()
	return object, jsonProblem(decoder, line, err)
}

// loneSurrogate is the escape of half a character, which the decoder replaces.
var loneSurrogate = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

// jsonProblem says where a line stops being JSON; nil for no error.
func jsonProblem(decoder *json.Decoder, line string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return errors.New("the JSON object does not end")
	}
	at := int(min(decoder.InputOffset(), int64(len(line))))
	return fmt.Errorf("the line is not JSON from character %d: %s", utf8.RuneCountInString(line[:at])+1, shorten(line[at:]))
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
