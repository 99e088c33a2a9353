// Package storederrors has the errors of an answer in the form in which they are stored
// beside its idempotency key.
//
// May import: models. The package uses no server.
package storederrors
