// Package sdl is the command onhand schema: it prints the schema in GraphQL's schema definition language, for code
// generators and for the composition of a gateway. It needs no server and no database, so a build can run it.
//
// May import: graph, graph/federation. Package cli imports it.
package sdl
