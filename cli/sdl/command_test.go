package sdl_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/cli/sdl"
	"onhand/graph"
	"onhand/graph/federation"
)

// TestCommand: each form of the command prints its schema.
func TestCommand(t *testing.T) {
	t.Parallel()
	for want, command := range map[string]sdl.SchemaCommand{
		graph.SDL(): {}, graph.SubgraphSDL(federation.Subgraph): {Federation: true}, graph.SubgraphSDL(federation.Full): {Federation: true, Full: true},
		graph.SubgraphWithoutAccess(federation.Subgraph): {Federation: true, WithoutAccess: true},
	} {
		var out bytes.Buffer
		require.NoError(t, command.Validate())
		require.NoError(t, command.Run(&out))
		assert.Equal(t, want, out.String())
	}
	require.Error(t, (&sdl.SchemaCommand{Full: true}).Validate())
	require.Error(t, (&sdl.SchemaCommand{WithoutAccess: true}).Validate())
	without := graph.SubgraphWithoutAccess(federation.Full)
	assert.NotContains(t, without, "@requiresScopes")
	assert.NotContains(t, without, "@authenticated")
	assert.Contains(t, without, "@cost")
	assert.Contains(t, without, "ProductConnection")
}
