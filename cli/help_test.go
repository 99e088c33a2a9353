package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHelpShowsOwnFlagsFirst: the flags of a command come before those that every command has, and those of the server
// are in groups.
func TestHelpShowsOwnFlagsFirst(t *testing.T) {
	t.Parallel()
	for command, flag := range map[string]string{"import": "--dry-run", "stock": "--as-of", "audit": "--repair", "serve": "--listen-addr"} {
		help := helpOf(t, command, "--help")
		assert.Less(t, strings.Index(help, flag), strings.Index(help, "--database-url="), command)
	}
	own, _, found := strings.Cut(helpOf(t, "serve", "--help"), "Flags of every command:")
	require.True(t, found)
	assert.LessOrEqual(t, strings.Count(own, "\n      --"), 8, "give the new settings of the server a group")
}

// TestMistakeGetsShortUsage: what is wrong is not hidden below all flags.
func TestMistakeGetsShortUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"nonsense"}, {"import"}, {"stock", "22423", "--as-at", "2026-01-05"}} {
		printed := helpOf(t, args...)
		assert.Less(t, strings.Count(printed, "\n"), 8, printed)
		assert.Contains(t, printed, "onhand: error: ")
		assert.Contains(t, printed, "--help")
	}
}

// helpOf is what the program prints for a command line that it does not run.
func helpOf(t *testing.T, args ...string) string {
	t.Helper()
	var printed bytes.Buffer
	exited := -1
	parser, err := newParser(&commandLine{}, kong.Writers(&printed, &printed), kong.Exit(func(code int) { exited = code }))
	require.NoError(t, err)
	_, err = parser.Parse(args)
	if exited < 0 {
		parser.FatalIfErrorf(err)
	}
	require.GreaterOrEqual(t, exited, 0)
	return printed.String()
}
