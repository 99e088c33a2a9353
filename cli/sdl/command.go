package sdl

import (
	"errors"
	"io"

	"onhand/graph"
	"onhand/graph/federation"
)

// SchemaCommand is onhand schema.
type SchemaCommand struct {
	Federation    bool `name:"federation" help:"The subgraph for a gateway (Apollo Federation 2), as _service answers it."`
	Full          bool `name:"full" help:"With --federation: the subgraph of a server that is the catalogue itself (FEDERATION=full), with product, products, node and titles."`
	WithoutAccess bool `name:"without-access" help:"With --federation: without @authenticated and @requiresScopes, which the server enforces itself. For @apollo/gateway, which refuses them."`
}

// Help is the text that onhand schema --help adds.
func (*SchemaCommand) Help() string {
	return "Prints the schema in GraphQL's schema definition language: without flags as /schema.graphql serves it."
}

// Validate is called by kong.
func (c *SchemaCommand) Validate() error {
	if (c.Full || c.WithoutAccess) && !c.Federation {
		return errors.New("--full and --without-access go with --federation")
	}
	return nil
}

// Run prints the schema.
func (c *SchemaCommand) Run(stdout io.Writer) error {
	_, err := io.WriteString(stdout, c.text())
	return err
}

func (c *SchemaCommand) text() string {
	mode := federation.Subgraph
	if c.Full {
		mode = federation.Full
	}
	switch {
	case !c.Federation:
		return graph.SDL()
	case c.WithoutAccess:
		return graph.SubgraphWithoutAccess(mode)
	}
	return graph.SubgraphSDL(mode)
}
