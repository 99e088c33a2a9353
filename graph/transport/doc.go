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
//   - Streams and their operations have bounds, for the instance and for each address
//     (package admission). One message of a WebSocket is handled at a time; a client that
//     sends too many waits.
//   - A WebSocket that the server ends has a close code (package protocol); 1013 where the
//     client does not read.
//   - A WebSocket has one goroutine of its own. It has no timer: one ticker serves the
//     deadlines and pings of all streams.
//   - When the server stops, or a stream is old, it ends without "complete" (WebSockets
//     with close code 1012), so that the client reconnects.
//
// May import: admission, coding, guard, jsonresponse, mediarange, models, protocol, push, rawparams, wsframe, gqlgen.
//
// The package uses no server.
package transport
