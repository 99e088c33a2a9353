// Package scalar writes and reads the schema's own scalars, BigInt and Time, and Int
// within its 32 bits.
//
// Invariants: every BigInt is a JSON number below 2^53; every Time is RFC 3339 in UTC
// with milliseconds; input that does not fit is refused as BAD_USER_INPUT.
//
// May import: models and gqlgen's runtime.
//
// The package uses no server.
package scalar
