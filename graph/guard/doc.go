// Package guard decides whether a request may run, the same for HTTP and for
// WebSockets: its caller and scopes, its origin, its size, the size of its document.
//
// Terms: a scope is a permission; the caller's subject is its name in the ledger. A
// selection is a field, an inline fragment or a fragment spread of a document.
//
// Where tokens are configured, [Bearer] finds the caller of a request by its token. Else
// the server listens on a loopback address only, and [Local] grants every scope to each
// caller. A web page of another site cannot reach a server through a visitor's browser:
// Host, Origin and Fetch metadata must allow it ([Sites]).
//
// Invariants:
//   - A body, a document and its cost are bounded before work is done for them.
//   - A refusal has GraphQL's form, a code, and no data.
//
// May import: graph/coding, graph/validation, models, gqlgen's runtime, gqlparser.
//
// The package uses no server.
package guard
