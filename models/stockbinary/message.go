package stockbinary

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"onhand/models"
)

// The names of a message, in its order.
const (
	messageProductID = `{"product_id":"`
	messageQuantity  = `","quantity":`
	messageVersion   = `,"version":`
	messageEpoch     = `,"epoch":"`
	messageStock     = `","stock":"`
	messageEnd       = `"}`
)

// Message returns the fields as a JSON object: the visible fields, and the compact
// form in base64.
func (f Fields) Message() []byte {
	b := make([]byte, 0, 96+len(f.ProductID)+len(f.Epoch)+base64.StdEncoding.EncodedLen(len(f.Stock)))
	b = appendEscaped(append(b, messageProductID...), f.ProductID)
	b = append(append(b, messageQuantity...), f.Quantity...)
	b = append(append(b, messageVersion...), f.Version...)
	b = appendEscaped(append(b, messageEpoch...), f.Epoch)
	b = base64.StdEncoding.AppendEncode(append(b, messageStock...), []byte(f.Stock))
	return append(b, messageEnd...)
}

var errMessage = errors.New("decode message: not a message of a stock")

// DecodeMessage reads what Message wrote. It accepts no other spelling of that JSON.
func DecodeMessage(message string) (*models.Stock, error) {
	if len(message) > 2*BytesMax {
		return nil, fmt.Errorf("decode message: %d bytes, more than %d", len(message), 2*BytesMax)
	}
	rest, ok := strings.CutPrefix(message, messageProductID)
	head, stock, ok2 := cutLast(rest, messageStock)
	head, epoch, ok3 := cutLast(head, messageEpoch)
	head, version, ok4 := cutLast(head, messageVersion)
	id, quantity, ok5 := cutLast(head, messageQuantity)
	stock, ok6 := strings.CutSuffix(stock, messageEnd)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return nil, errMessage
	}
	form, err := base64.StdEncoding.Strict().DecodeString(stock)
	if err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	f := Fields{Quantity: quantity, Version: version, Stock: string(form)}
	if f.ProductID, err = unescaped(id); err != nil {
		return nil, err
	}
	if f.Epoch, err = unescaped(epoch); err != nil {
		return nil, err
	}
	return new(Decoder).Decode(f)
}

// MessageVersion reads version and epoch of a product's message without decoding the
// stock. ok is false for anything but a message of that product, and where JSON escapes
// its id: DecodeMessage then decides.
func MessageVersion(productID, message string) (version int64, epoch string, ok bool) {
	rest, ok := strings.CutPrefix(message, messageProductID)
	rest, ok2 := strings.CutPrefix(rest, productID)
	rest, ok3 := strings.CutPrefix(rest, messageQuantity)
	_, rest, ok4 := strings.Cut(rest, messageVersion)
	digits, rest, ok5 := strings.Cut(rest, messageEpoch)
	epoch, _, ok6 := strings.Cut(rest, `"`)
	version, err := strconv.ParseInt(digits, 10, 64)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || err != nil {
		return 0, "", false
	}
	return version, epoch, true
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// appendEscaped writes the inside of a JSON string. Nearly no id needs an escape;
// encoding/json writes the others.
func appendEscaped(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil {
				return b // json.Marshal of a string cannot fail
			}
			return append(b, quoted[1:len(quoted)-1]...)
		}
	}
	return append(b, text...)
}

func unescaped(inside string) (text string, err error) {
	if !strings.ContainsAny(inside, `\"`) {
		return inside, nil
	}
	if err := json.Unmarshal([]byte(`"`+inside+`"`), &text); err != nil {
		return "", fmt.Errorf("decode message: %w", err)
	}
	return text, nil
}
