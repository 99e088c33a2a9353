package main

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestStorefrontCommands runs docs/storefront.md against a server without settings.
func TestStorefrontCommands(t *testing.T) {
	t.Parallel()
	r := &reader{t: t, home: t.TempDir(), env: map[string]string{}, counts: map[string]int{}}
	r.serve()
	r.follow("docs/storefront.md")
	assert.GreaterOrEqual(t, r.counts["curl"], 8)
}

// TestOrdersCommands runs docs/orders.md against a server without settings.
func TestOrdersCommands(t *testing.T) {
	t.Parallel()
	r := &reader{t: t, home: t.TempDir(), env: map[string]string{}, counts: map[string]int{}}
	r.serve()
	r.follow("docs/orders.md")
	assert.GreaterOrEqual(t, r.counts["curl"], 7)
}

// answeredID is the id of a reservation, or the cursor of a movement.
var answeredID = regexp.MustCompile(`res_[0-9a-f]{32}|AQAA[0-9A-Za-z_-]+`)

// learnIDs notes which id of the answer stands where the document has one.
func (r *reader) learnIDs(documented, real string) {
	ids := answeredID.FindAllString(real, -1)
	for i, id := range answeredID.FindAllString(documented, -1) {
		if i < len(ids) {
			r.ids[id] = ids[i]
		}
	}
}

// realIDs puts the ids that learnIDs noted into a command.
func (r *reader) realIDs(command string) string {
	return answeredID.ReplaceAllStringFunc(command, func(id string) string {
		if known, ok := r.ids[id]; ok {
			return known
		}
		return id
	})
}
