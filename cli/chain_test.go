package cli

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestARealChainOfStores imports the products of a grocery chain at hundreds of
// stores, each product in a few of them, exports them, and imports them again.
func TestARealChainOfStores(t *testing.T) {
	onBoth(t, func(m merchant) {
		path := os.Getenv("COMPLETEJOURNEY_CSV")
		if path == "" {
			path = filepath.Join("testdata", "completejourney.csv")
		}
		opening, chain := openingOf(t, path)
		stdout, _ := m.run(0, "import", m.file("opening.csv", opening), "--create")
		assert.Equal(t, fmt.Sprintf("%d rows: 0 increases, 0 decreases, 0 unchanged, %d created, 0 refused; %d new products, %d new locations\n", len(chain.units), len(chain.units), len(chain.products), len(chain.stores)), stdout)

		rows, err := csv.NewReader(strings.NewReader(m.export("csv"))).ReadAll()
		require.NoError(t, err)
		units := map[[2]string]string{}
		for _, row := range rows[1:] {
			units[[2]string{row[0], row[2]}] = row[3]
		}
		assert.Len(t, units, len(chain.units))
		for level, n := range chain.units {
			assert.Equal(t, strconv.Itoa(n), units[level], level)
		}
		if len(chain.products)*len(chain.stores) > 1_000_000 {
			return // a shop's file has a row for each product at each store
		}
		shop := m.export("shop")
		assert.Equal(t, 1+len(chain.products)*len(chain.stores), strings.Count(shop, "\n"), "a shop's file has every product at every store")
		assert.Equal(t, 5*(len(chain.products)*len(chain.stores)-len(chain.units)), strings.Count(shop, "not stocked"))
		stdout, _ = m.run(0, "import", m.file("again.csv", shop))
		assert.Equal(t, fmt.Sprintf("%d rows: 0 increases, 0 decreases, %d unchanged, 0 created, 0 refused\n", len(chain.products)*len(chain.stores), len(chain.products)*len(chain.stores)), stdout)
		assert.Equal(t, shop, m.export("shop"))
	})
}

// chain is a chain of stores, as a file of its transactions shows it.
type chain struct {
	units            map[[2]string]int // sold of a product at a store
	products, stores map[string]bool
}

// openingOf makes a stock file from the units that were sold.
func openingOf(t *testing.T, path string) (string, chain) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	var plain io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		plain, err = gzip.NewReader(file)
		require.NoError(t, err)
	}
	records, err := csv.NewReader(plain).ReadAll()
	require.NoError(t, err)
	column := func(name string) int { return slices.Index(records[0], name) }
	product, shop, quantity := column("product_id"), column("store_id"), column("quantity")
	c := chain{map[[2]string]int{}, map[string]bool{}, map[string]bool{}}
	for _, r := range records[1:] {
		n, err := strconv.Atoi(r[quantity])
		require.NoError(t, err)
		c.units[[2]string{r[product], "Store " + r[shop]}] += n
		c.products[r[product]], c.stores[r[shop]] = true, true
	}
	var b strings.Builder
	b.WriteString("product_id,location_id,available\n")
	for level, n := range c.units {
		fmt.Fprintf(&b, "%s,%s,%d\n", level[0], level[1], n)
	}
	return b.String(), c
}
