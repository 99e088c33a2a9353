package cli

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The demo shop is loaded into an empty database, once.
func TestDemo(t *testing.T) {
	onBoth(t, func(m merchant) {
		stdout, _ := m.run(0, "demo")
		assert.Regexp(m.t, `^loaded the demo shop: \d+ levels at 4 locations, 3 channels`, stdout)
		stock, _ := m.run(0, "stock", "85123A", "22630", "gift_0001_20", "23166")
		assert.Contains(m.t, stock, "IN_STOCK, 704 available")
		assert.Contains(m.t, stock, "BACKORDER, 0 available")
		stdout, _ = m.run(0, "demo")
		assert.Equal(m.t, "the demo shop is there already; nothing was changed\n", stdout)
		again, _ := m.run(0, "stock", "85123A")
		assert.Contains(m.t, again, "IN_STOCK, 704 available")
	})
}

// A database with products of its own does not get the demo shop.
func TestDemoRefusesAnotherShop(t *testing.T) {
	onBoth(t, func(m merchant) {
		m.run(0, "import", m.file("seed.csv", "product_id,title,location_id,available\nmug,Blue mug,London,5\n"), "--create")
		_, stderr := m.run(1, "demo")
		assert.Equal(m.t, "the database has products already; the demo shop is loaded into an empty database only", stderr)
	})
}
