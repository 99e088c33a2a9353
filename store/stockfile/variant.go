package stockfile

import (
	"net/url"
	"strings"
)

// Variant names one variant of a product as a shop's file does: by handle and up to three options. Its id is the
// product id of variants without a SKU of their own.
type Variant struct {
	Handle  string
	Options [3]VariantOption
}

// VariantOption is one choice, such as Size: M. Both empty means none.
type VariantOption struct{ Name, Value string }

// defaultOption is how shops write a product that has no variants.
var defaultOption = VariantOption{Name: "Title", Value: "Default Title"}

// ID writes the variant as handle?name=value&name=value, every part escaped as in the query of a web address:
// t-shirt?Size=M&Colour=Dark+red. A product without variants is handle?Title=Default+Title.
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

// ParseVariant reads what ID writes, and nothing else: any other text is a SKU or a product id of the shop's own.
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
		n, err1 := url.QueryUnescape(name)
		val, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return Variant{}, false
		}
		v.Options[i] = VariantOption{Name: n, Value: val}
	}
	if v.ID() != id { // written some other way: not ours
		return Variant{}, false
	}
	return v, true
}

// lasts tells whether a file's cells can hold the variant: readers drop blanks at the ends, and refuse what no id has.
func (v Variant) lasts() bool {
	for _, o := range append(v.Options[:], VariantOption{Name: v.Handle}) {
		for _, cell := range []string{o.Name, o.Value} {
			if strings.TrimSpace(cell) != cell || text("a cell", cell) != nil {
				return false
			}
		}
	}
	return true
}
