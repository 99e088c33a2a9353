// Package validation bounds what the validation of a document costs, and validates it.
//
// Terms: a selection is a field, an inline fragment or a fragment spread of a document. A field is repeated when
// several fields of one object have its response name, in whatever fragments they are written: they are merged. An
// alias is a response name that is not the field's own.
//
// [SizeOf] measures a parsed document, [Size.Check] compares it with the limits, and [Validate] validates what is within
// them, with gqlparser's rules but for two: literals are graph/coercion's, and the fields that are merged are not
// compared in pairs, so that validation takes a time about proportional to the selections of the document.
//
// Invariants:
//   - Measuring visits each selection that is written twice. Fields are merged only within the other limits, so that
//     visits at most SelectionsSpreadMax more.
//   - A document is validated only within the limits.
//   - Suggestions ("Did you mean") name parts of the schema. They are made where the caller may read the schema, and
//     only for documents that a person may have typed.
//
// May import: graph/coercion, gqlparser. The package uses no server.
package validation
