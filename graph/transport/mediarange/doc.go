// Package mediarange reads the Accept header, as RFC 9110 says: which media types a client wants, and how much.
//
// May import: the standard library.
//
// The package uses no server.
package mediarange
