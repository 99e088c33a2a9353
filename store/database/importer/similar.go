package importer

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"onhand/models"
)

// Bounds of the search for similar ids.
const (
	knownPageRows  = 10_000 // ids of products read by one statement
	knownBatchRows = 200    // rows inserted by one statement
	// filterBits is the size of the filter of new ids: 2 MiB. A million ids let one
	// of 17 others pass, which costs a row of a temporary table.
	filterBits = 1 << 24
)

// similarityKey is equal for ids that people and spreadsheets take for one: it
// ignores case, blanks, invisible characters, the Unicode form, the sort of dashes
// and quotes, a leading apostrophe, and how a number is written (0017, 17, 1.70e1).
func similarityKey(id string) string {
	if strings.Contains(id, "?") {
		id = strings.ReplaceAll(id, "+", " ") // a blank of a variant's id
	}
	ascii := !strings.ContainsFunc(id, func(r rune) bool { return r > unicode.MaxASCII })
	if ascii {
		id = strings.ToLower(id)
	} else {
		id = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(id)))
	}
	id = strings.Map(plainRune, id)
	if inner, ok := strings.CutPrefix(id, "=\""); ok { // a spreadsheet's way to keep a text
		id = strings.TrimSuffix(inner, "\"")
	}
	id = strings.TrimLeft(id, "'")
	if number, ok := canonicalNumber(id); ok {
		return number
	}
	return id
}

// plainRune drops blanks and what is invisible, and makes all dashes and quotes one.
func plainRune(r rune) rune {
	switch {
	case r > ' ' && r < unicode.MaxASCII:
		return r
	case unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return -1
	case unicode.Is(unicode.Pd, r) || r == '\u2212':
		return '-'
	case unicode.In(r, unicode.Pi, unicode.Pf):
		return '\''
	}
	return r
}

// exponentMax bounds the exponents of numbers; a larger one is a text.
const exponentMax = 10_000

// canonicalNumber writes a number as its digits and an exponent, without zeros at
// the ends, so that 90.750 and 90.75 are one, and 1E5 and 100000.
func canonicalNumber(s string) (string, bool) {
	sign := ""
	switch {
	case strings.HasPrefix(s, "-"):
		sign, s = "-", s[1:]
	case strings.HasPrefix(s, "+"):
		s = s[1:]
	}
	mantissa, power, hasPower := strings.Cut(s, "e")
	exponent := 0
	if hasPower {
		n, err := strconv.Atoi(power)
		if err != nil || n > exponentMax || n < -exponentMax {
			return "", false
		}
		exponent = n
	}
	whole, decimals, _ := strings.Cut(strings.Replace(mantissa, ",", ".", 1), ".")
	digits := whole + decimals
	if whole == "" || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return "", false
	}
	exponent -= len(decimals)
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	if trimmed = strings.TrimLeft(trimmed, "0"); trimmed == "" {
		return "#0", true
	}
	return "#" + sign + trimmed + "e" + strconv.Itoa(exponent), true
}

// knownKeys are the keys under which a new id is similar to a known one. Beside its
// own there are those of what a spreadsheet makes of a long number: 5.01235E+12,
// 5.01E+12, and zeros after the fifteenth digit.
func knownKeys(id string) []string {
	const roundedFrom, exactMax = 12, 15 // digits
	keys := []string{similarityKey(id)}
	digits := strings.TrimLeft(id, "0")
	if len(digits) < roundedFrom || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return keys
	}
	mangled := []string{}
	if f, err := strconv.ParseFloat(digits, 64); err == nil {
		mangled = append(mangled, strconv.FormatFloat(f, 'e', 5, 64), strconv.FormatFloat(f, 'e', 2, 64))
	}
	if len(digits) > exactMax {
		mangled = append(mangled, digits[:exactMax]+strings.Repeat("0", len(digits)-exactMax))
	}
	for _, text := range mangled {
		if key, ok := canonicalNumber(text); ok && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// recentIDsSize is how many ids a recentIDs has in memory.
const recentIDsSize = 4096

// recentIDs says of an id that it was seen before, or that it may be new.
type recentIDs struct {
	seed maphash.Seed
	ids  [recentIDsSize]string
}

func (r *recentIDs) seen(id string) bool {
	at := maphash.String(r.seed, id) % recentIDsSize
	if r.ids[at] == id {
		return true
	}
	r.ids[at] = strings.Clone(id) // else it would keep the line's memory
	return false
}

// keyStager makes the keys of rows. Most rows name a location, and many a product, that a
// row shortly before names too. These get no key, so that the new ids are found in few
// rows.
type keyStager struct{ products, locations recentIDs }

func newKeyStager() *keyStager {
	return &keyStager{products: recentIDs{seed: maphash.MakeSeed()}, locations: recentIDs{seed: maphash.MakeSeed()}}
}

// of returns the keys of the product, of the variant and of the location; nil for none. A
// row with a variant has both keys, because either id may become its product's.
func (k *keyStager) of(row models.StockRow, product string) []any {
	keys := []any{nil, nil, nil}
	if k == nil || row.Problem != "" {
		return keys
	}
	switch {
	case row.Variant != "":
		keys[0], keys[1] = similarityKey(product), similarityKey(row.Variant)
	case !k.products.seen(product):
		keys[0] = similarityKey(product)
	}
	if !k.locations.seen(row.Location) {
		keys[2] = similarityKey(row.Location)
	}
	return keys
}

// keyFilter says of a key that it is not one of the new ids, or that it may be.
type keyFilter struct {
	seeds map[string]maphash.Seed // by kind
	bits  []uint64
}

func newKeyFilter() *keyFilter {
	seeds := map[string]maphash.Seed{kindProduct: maphash.MakeSeed(), kindLocation: maphash.MakeSeed()}
	return &keyFilter{seeds: seeds, bits: make([]uint64, filterBits/64)}
}

func (f *keyFilter) add(kind, key string) {
	at := maphash.String(f.seeds[kind], key) % filterBits
	f.bits[at/64] |= 1 << (at % 64)
}

func (f *keyFilter) has(kind, key string) bool {
	at := maphash.String(f.seeds[kind], key) % filterBits
	return f.bits[at/64]&(1<<(at%64)) != 0
}

// The kinds of ids.
const (
	kindProduct  = "product"
	kindLocation = "location"
)

// importFresh finds the ids that the file would add. The first row of an id has its key.
var importFresh = []string{
	`CREATE TEMP TABLE import_fresh AS
		SELECT 'product' AS kind, product_id AS id, product_key AS similarity_key, min(line) AS line FROM import_rows r WHERE product_key IS NOT NULL AND problem = '' AND product_id <> ''
			AND NOT EXISTS (SELECT 1 FROM products p WHERE p.product_id = r.product_id) GROUP BY product_id, product_key
		UNION ALL SELECT 'location', location_id, location_key, min(line) FROM import_rows r WHERE location_key IS NOT NULL AND problem = '' AND location_id <> ''
			AND NOT EXISTS (SELECT 1 FROM locations l WHERE l.location_id = r.location_id) GROUP BY location_id, location_key`,
	`CREATE TEMP TABLE import_known AS SELECT kind, similarity_key, id AS label FROM import_fresh WHERE 1 = 0`,
	`CREATE INDEX import_fresh_key ON import_fresh (similarity_key, kind)`,
}

// importSimilar fills import_similar: for each new id the known one that it is
// similar to, or else the one of an earlier line.
var importSimilar = []string{
	`CREATE INDEX import_known_key ON import_known (similarity_key, kind)`,
	`ANALYZE import_fresh`,
	`ANALYZE import_known`,
	`INSERT INTO import_similar (kind, id, similar_to) SELECT f.kind, f.id, min(k.label) FROM import_fresh f
		JOIN import_known k ON k.kind = f.kind AND k.similarity_key = f.similarity_key GROUP BY f.kind, f.id`,
	`INSERT INTO import_similar (kind, id, similar_to) SELECT f.kind, f.id, h.id FROM import_fresh f
		JOIN (SELECT kind, similarity_key, min(line) AS line FROM import_fresh GROUP BY kind, similarity_key HAVING count(*) > 1) g
			ON g.kind = f.kind AND g.similarity_key = f.similarity_key AND f.line > g.line
		JOIN import_fresh h ON h.kind = g.kind AND h.similarity_key = g.similarity_key AND h.line = g.line
		WHERE NOT EXISTS (SELECT 1 FROM import_similar s WHERE s.kind = f.kind AND s.id = f.id)`,
}

// findSimilar fills import_similar. It reads the ids of all products once, and only
// when the file has new ids. Memory does not grow with either.
func (i *run) findSimilar(ctx context.Context) error {
	if err := i.exec(ctx, importFresh...); err != nil {
		return err
	}
	filter := newKeyFilter()
	fresh := map[string]int{}
	err := i.each(ctx, "SELECT kind, similarity_key FROM import_fresh", nil, func(kind, key string) {
		filter.add(kind, key)
		fresh[kind]++
	})
	if err != nil || len(fresh) == 0 {
		return err
	}
	known := knownIDs{run: i, filter: filter}
	if fresh[kindLocation] > 0 {
		err := i.each(ctx, "SELECT location_id, name FROM locations", nil, func(id, name string) {
			known.add(kindLocation, id, id)
			known.add(kindLocation, name, id+" ("+name+")")
		})
		if err != nil {
			return err
		}
	}
	for last, more := "", fresh[kindProduct] > 0; more; {
		n := 0
		err := i.each(ctx, fmt.Sprintf("SELECT product_id, '' FROM products WHERE product_id > $1 ORDER BY product_id LIMIT %d", knownPageRows), []any{last}, func(id, _ string) {
			known.add(kindProduct, id, id)
			last = id
			n++
		})
		if err == nil {
			err = known.flush(ctx)
		}
		if err != nil {
			return err
		}
		more = n == knownPageRows
	}
	if err := known.flush(ctx); err != nil {
		return err
	}
	return i.exec(ctx, importSimilar...)
}

// each calls do for each row of two texts.
func (i *run) each(ctx context.Context, query string, args []any, do func(a, b string)) error {
	i.waiting.Reset()
	r, err := i.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		var a, b string
		if err := r.Scan(&a, &b); err != nil {
			return err
		}
		do(a, b)
	}
	return r.Err()
}

// knownIDs collects the known ids that pass the filter of new ones.
type knownIDs struct {
	*run
	filter *keyFilter
	rows   []any // kind, key, label
}

func (k *knownIDs) add(kind, id, label string) {
	for _, key := range knownKeys(id) {
		if k.filter.has(kind, key) {
			k.rows = append(k.rows, kind, key, label)
		}
	}
}

// flush writes what was collected to import_known.
func (k *knownIDs) flush(ctx context.Context) error {
	const columns = 3
	for len(k.rows) > 0 {
		batch := k.rows[:min(len(k.rows), knownBatchRows*columns)]
		var values strings.Builder
		for at := 1; at < len(batch); at += columns {
			fmt.Fprintf(&values, ", ($%d, $%d, $%d)", at, at+1, at+2)
		}
		k.waiting.Reset()
		if _, err := k.conn.ExecContext(ctx, "INSERT INTO import_known (kind, similarity_key, label) VALUES "+values.String()[2:], batch...); err != nil {
			return err
		}
		k.rows = k.rows[len(batch):]
	}
	k.rows = nil
	return nil
}
