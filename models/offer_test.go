package models

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// TestOfferIsThatOfSourcing: what is shown is summed up by the rule that reservations use.
func TestOfferIsThatOfSourcing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Product{Tracked: true, InventoryPolicy: rapid.SampledFrom([]InventoryPolicy{Deny, Continue}).Draw(t, "policy")}
		if limit := rapid.IntRange(-1, 20).Draw(t, "limit"); limit >= 0 {
			p.BackorderLimit = &limit
		}
		levels := make([]Level, rapid.IntRange(0, 4).Draw(t, "levels"))
		for i := range levels {
			levels[i] = Level{LocationID: strconv.Itoa(i), Active: rapid.Bool().Draw(t, "active")}
			levels[i].Available = rapid.IntRange(-20, 20).Draw(t, "available")
		}
		members := map[string]bool{"0": true, "2": true}
		if rapid.Bool().Draw(t, "all") {
			members = nil
		}
		buffer := rapid.IntRange(0, 5).Draw(t, "buffer")
		from, o := SourcingOf(p, levels, members), offerOf(&p, levels, members)
		from.Buffer, o.buffer = buffer, buffer
		assert.Equal(t, from.Sellable(), o.sellable())
		assert.Equal(t, from.offer(), o)
	})
}
