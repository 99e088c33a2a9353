package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// TestHelpShowsOwnFlagsFirst: the flags of a command come before those that every command has, and those of the server
// are in groups.
func TestHelpShowsOwnFlagsFirst(t *testing.T) {
	t.Parallel()
	for command, flag := range map[string]string{"import": "--dry-run", "stock": "--as-of", "audit": "--repair", "serve": "--listen-addr"} {
		help := programHelp(t)[command]
		assert.Less(t, strings.Index(help, flag), strings.Index(help, "--database-url="), command)
	}
	own, _, found := strings.Cut(programHelp(t)["serve"], "Flags of every command:")
	require.True(t, found)
	assert.LessOrEqual(t, strings.Count(own, "\n      --"), 8, "give the new settings of the server a group")
}

// TestMistakeGetsShortUsage: what is wrong is not hidden below all flags.
func TestMistakeGetsShortUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"nonsense"}, {"import"}, {"stock", "22423", "--as-at", "2026-01-05"}} {
		code, stdout, stderr := run(t, t.TempDir(), nil, args...)
		assert.NotZero(t, code)
		assert.Less(t, strings.Count(stdout+stderr, "\n"), 8, "%s%s", stdout, stderr)
		assert.Contains(t, stderr, "onhand: error: ")
		assert.Contains(t, stdout+stderr, "--help")
	}
}
