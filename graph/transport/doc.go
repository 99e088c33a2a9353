// Package transport answers HTTP, and makes gqlgen's two streaming transports
// safe for clients that stop reading and for servers that stop.
//
// Where gqlgen is laxer than graphql-transport-ws, the protocol's own close
// codes and rules are kept here (protocol.go).
//
// Invariants: what was not executed is answered without "data" and with a code;
// every piece of a message to a stream has a deadline, and a client that misses it
// is cut off, but one that goes on reading is not, however large the message, for a
// minute; little waits for it in the kernel meanwhile; nothing is written after a
// handler returned; one socket has a bounded number of operations under way; when
// the server stops, streams end without a "complete", so that clients come back
// (sockets with close code 1012).
//
// May import: guard, models, gqlgen, coder/websocket.
package transport
