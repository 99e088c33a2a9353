// Package jsonresponse writes the responses of operations in JSON, for each way that the
// transports send them.
//
// May import: models, gqlgen.
//
// The package uses no server.
package jsonresponse
