// Package transport answers GraphQL over HTTP, WebSocket (graphql-transport-ws) and
// server-sent events (graphql-sse, both modes). The Accept header and the operation
// decide whether a POST is answered in JSON or with events.
//
// Terms: a stream is a connection that carries many answers: a WebSocket or an event
// stream. A piece is the part of a message that is written with one deadline. A single
// connection is an event stream of many operations, which other requests start.
//
// Invariants:
//   - An answer to a request that was not executed has a code and no "data".
//   - The requests of an array have bounds together, which are checked before one of
//     them is executed. Their mutations are executed in order.
//   - Every piece of a message has a deadline. A client that misses it is cut off. A
//     client that keeps reading is not, for up to a minute per message.
//   - The kernel buffers little for a client, so that a slow client gets new values.
//   - Nothing is written after a handler returned.
//   - One stream has a bounded number of operations in flight. One message of a
//     WebSocket is handled at a time.
//   - A WebSocket has one goroutine of its own. It has no timer: one ticker serves the
//     deadlines and pings of all streams.
//   - When the server stops, streams end without "complete" (WebSockets with close
//     code 1012), so that clients reconnect.
//
// May import: coding, guard, models, push, rawparams, wsframe, gqlgen.
//
// The package uses no server.
package transport
