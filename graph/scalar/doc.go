// Package scalar writes and reads the schema's own scalars: BigInt and
// Time, and Int within its 32 bits.
//
// May import: models and gqlgen's runtime.
package scalar
