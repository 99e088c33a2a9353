// Package coercion checks every value of a request against the type that the schema
// gives it, as section 3 of the GraphQL specification says, before the request is
// executed.
//
// Terms: a variable value is JSON. A literal is a value that is written in the
// document. Coercion turns either into a value of the type: as a variable 5.0 is the
// Int 5, as a literal only 5 is.
//
// gqlgen checks less: it accepts "5" for Int, refuses 5.0, and leaves BigInt and Time
// to the execution, so that one mistake had several codes and statuses. Its messages
// name Go types.
//
// Invariants:
//   - A request with a value of another type is not executed, and is answered with
//     BAD_USER_INPUT.
//   - The message names the variable or argument, the path in it, the type, and what
//     was sent, cut to sentMax characters.
//   - What is executed has int64 for Int and BigInt, and string for ID.
//
// May import: models, graph/scalar, gqlgen's runtime, gqlparser.
//
// The package uses no server.
package coercion
