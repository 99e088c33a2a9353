package stockfile

import (
	"net/url"
	"strings"

	"onhand/models"
)

// Variant names one variant of a product as a shop's file does: by handle and up
// to three options. Its ID is the product id of a variant without an SKU of its
// own.
type Variant struct {
	Handle  string
	Options [3]VariantOption
}

// VariantOption is one option, such as Size: M. Both fields are empty where there
// is none.
type VariantOption struct{ Name, Value string }

// defaultOption is what a shop's file has for a product without variants.
var defaultOption = VariantOption{Name: "Title", Value: "Default Title"}

// ID encodes the variant as handle?name=value&name=value, each part escaped as in
// the query of a URL: t-shirt?Size=M&Colour=Dark+red. A product without variants
// is handle?Title=Default+Title.
func (v Variant) ID() string {
	var b strings.Builder
	b.WriteString(url.QueryEscape(v.Handle))
	b.WriteByte('?')
	options := v.Options
	if options == ([3]VariantOption{}) {
		options[0] = defaultOption
	}
	for i, o := range options {
		if i > 0 && allEmpty(options[i:]) {
			break
		}
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(o.Name) + "=" + url.QueryEscape(o.Value))
	}
	return b.String()
}

func allEmpty(options []VariantOption) bool {
	for _, o := range options {
		if o != (VariantOption{}) {
			return false
		}
	}
	return true
}

// ParseVariant decodes what ID encodes. ok is false for any other text, which is
// an SKU or a product id of the shop's own.
func ParseVariant(id string) (v Variant, ok bool) {
	handle, query, found := strings.Cut(id, "?")
	parts := strings.Split(query, "&")
	if !found || handle == "" || len(parts) > len(v.Options) {
		return Variant{}, false
	}
	var err error
	if v.Handle, err = url.QueryUnescape(handle); err != nil {
		return Variant{}, false
	}
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if nameErr != nil || valueErr != nil {
			return Variant{}, false
		}
		v.Options[i] = VariantOption{Name: name, Value: value}
	}
	if v.ID() != id { // another encoding of the same variant
		return Variant{}, false
	}
	return v, true
}

// writable reports whether a file can have the variant: readers refuse cells that
// no id may be.
func (v Variant) writable() bool {
	for _, o := range append(v.Options[:], VariantOption{Name: v.Handle}) {
		for _, cell := range []string{o.Name, o.Value} {
			if cell != "" && models.CheckID(cell) != "" {
				return false
			}
		}
	}
	return true
}
