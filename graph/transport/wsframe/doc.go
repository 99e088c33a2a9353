// Package wsframe is the server's end of RFC 6455: the handshake, messages of the
// client, and frames of the server.
//
// A general library keeps a buffer of kilobytes for each connection, and writes each
// message with a call of its own. This package keeps 128 bytes, and its callers build
// frames themselves, so that clients can share the bytes of a payload.
//
// Terms: a message is one text or binary message of the client, whose fragments are
// joined. A piece is the part of a frame that is written with one deadline.
//
// Invariants:
//   - Only the goroutine that calls Next reads. Only one goroutine writes at a time; the
//     caller sees to it.
//   - A message has a bound. Memory for it grows with the bytes that arrived, not with
//     the length that the client announces.
//   - A violation of RFC 6455 is a CloseError with the RFC's close code.
//   - Buffers are from a pool. An idle connection has none.
//
// No extension is negotiated: a message of some hundred bytes gains little from
// compression, whose state takes tens of kilobytes for each connection.
//
// May import: the standard library.
package wsframe
