// Package transports makes gqlgen's two streaming transports safe for clients
// that stop reading and for servers that stop.
//
// Where gqlgen is laxer than graphql-transport-ws, the protocol's own close
// codes and rules are kept here (protocol.go).
//
// Invariants: every write to a client has a deadline, and a client that misses
// it is cut off; nothing is written after a handler returned; when the server
// stops, streams end without a "complete", so that clients come back (sockets
// with close code 1012).
//
// May import: guard, models, gqlgen, coder/websocket.
package transports
