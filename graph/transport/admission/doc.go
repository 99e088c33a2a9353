// Package admission decides which streams and operations an instance accepts, and how
// fast it takes a client's messages.
//
// Terms: a stream is a WebSocket or an event stream. A pass is a stream's place among
// those of the instance and of its address.
//
// Invariants:
//   - Streams have a bound for the instance. Where addresses have bounds, streams and
//     operations have one for each address.
//   - An address is forgotten when it has no stream. Memory is bounded by the streams.
//   - A pass gives back exactly what it took, in any order of calls.
//
// May import: guard, models.
//
// The package uses no server.
package admission
