// Package federation makes the schema a subgraph of Apollo Federation 2, which a gateway joins with other subgraphs.
//
// Terms:
//
//	entity          an object that other subgraphs and gateways name by a key: Product, Stock, Reservation, Location
//	key             the fields that name it; the directive @key of the schema has them
//	representation  what a gateway sends to Query._entities: __typename and a key
//	catalogue       the subgraph of another team that has the titles of products and the lists of them
//
// The served schema has more than the subgraph. [Subgraph] is what gateways compose: without what the schema marks with
// @catalogue, unless the server is the catalogue itself ([Full]), and with what bounds of cost need. [Clients] is the
// schema for clients that ask the server itself.
//
// Invariants:
//   - What is wrong with one representation is the error of that one. An entity that is unknown is null.
//   - An entity that other subgraphs know by the shop's own id may be unknown here. In the subgraph its fields are
//     nullable, so that such an entity does not make the list null that it is in. So are root fields: a server that is
//     away must not make the data of other subgraphs null.
//   - The directives and tables that the server itself obeys are the one source of the subgraph's.
//
// May import: guard, models, models/ids, gqlparser.
//
// The package uses no server.
package federation
