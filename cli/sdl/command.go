package sdl

import (
	"errors"
	"io"

	"onhand/graph"
	"onhand/graph/federation"
)

// Command is onhand schema.
type Command struct {
	Federation bool `name:"federation" help:"The subgraph for a gateway (Apollo Federation 2), as _service answers it."`
	Full       bool `name:"full" help:"With --federation: the subgraph of a server that is the catalogue itself (FEDERATION=full), with product, products, node and titles."`
}

// Help is the text that onhand schema --help adds.
func (*Command) Help() string {
	return "Prints the schema in GraphQL's schema definition language: without flags as /schema.graphql serves it."
}

// Validate is called by kong.
func (c *Command) Validate() error {
	if c.Full && !c.Federation {
		return errors.New("--full goes with --federation")
	}
	return nil
}

// Run prints the schema.
func (c *Command) Run(stdout io.Writer) error {
	text := graph.SDL()
	if c.Federation {
		mode := federation.Subgraph
		if c.Full {
			mode = federation.Full
		}
		text = graph.SubgraphSDL(mode)
	}
	_, err := io.WriteString(stdout, text)
	return err
}
