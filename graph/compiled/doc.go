// Package compiled answers operations that only read stock, without gqlgen's generated
// executor. gqlgen parses, validates and bounds them as any other.
//
// Terms:
//
//	selection   the fields of one object, flattened: fragments, @skip and @include are
//	            resolved, fields of the same name are merged
//	query       an operation, compiled for given values of the variables that @skip and
//	            @include name
//	call        one root field of one request, with its arguments
//
// A [Schema] wraps the generated schema. It compiles a document at its second use, and
// keeps the result with the cached document. A compiled query is answered in three steps:
//
//  1. The ids that all calls ask for are collected and read together; pages are read.
//  2. Where the products of a page show their stock, that is read together too.
//  3. One pass appends the answer to one buffer, field by field, from models.
//
// The fields are in tables, a file a noun. What has no table entry, or reads by itself,
// sends the whole operation to the generated executor: movements, reservations,
// introspection, @defer.
//
// Invariants:
//   - Data and errors are those of the generated executor, byte for byte. It is the
//     reference that the tests compare with.
//   - The rules are the resolvers' own: package graph implements [Reads] with them.
//   - Field middleware and directives are not called. The server has no middleware. An operation whose caller breaks a
//     rule of access is left to the generated executor, which refuses the field.
//   - A document has a bounded number of compiled entries (entriesMax).
//
// May import: models and packages below it, generated, access, guard, loaders, scalar, viewer, gqlgen, gqlparser.
//
// When the store is gone, its errors are those of the fields that asked for it.
package compiled
