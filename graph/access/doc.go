// Package access says who may use which field. The directives of the schema are the one place that decides it; this
// package reads and enforces them.
//
// Terms: a rule is what one directive asks of a caller. A coordinate names a part of the schema, Stock.onHand or
// Query.stock(asOf:).
//
//	@requiresScopes          a token with all scopes of one of the lists
//	@authenticated           any token
//	@anonymous               no token, unless a setting refuses this use
//	@argumentRequiresScopes  as @requiresScopes, for callers that give the argument, the field of an input or the value of an enum
//
// Where each is enforced:
//   - gqlgen's executor calls [RequiresScopes], [Authenticated] and [Anonymous] before it resolves a field.
//   - Packages compiled and live collect the [Rules] of an operation. Where the caller breaks one, they leave the operation
//     to gqlgen's executor.
//   - What finds an object by a global id asks the [Table] for the rule of the field that the object is read with, and the
//     resolver of an argument, of a field of an input or of a value of an enum, for that of its own.
//
// Invariants: every field of Query, Mutation and Subscription has one rule, and no field has two. A field with
// @requiresScopes or @authenticated is nullable, so that a refused field is null and no other one is.
//
// May import: guard, models, gqlgen's runtime, gqlparser.
package access
