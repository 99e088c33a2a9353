// Package execution serves GraphQL with gqlgen's executor, and prepares an operation whose document is in the query cache
// without repeating what is known of the document.
//
// Terms: an operation is prepared when its document is parsed and validated, its variables are coerced, and its complexity
// is within the limit: gqlgen's CreateOperationContext. A known document is one in guard.Documents.
//
//   - [Server] takes the place of gqlgen's handler.Server: it chooses the transport of a request.
//   - [OperationExecutor] prepares operations of known documents itself, and leaves all else to gqlgen's executor: other documents,
//     and the execution.
//
// Invariants:
//   - The same extensions run in the same order, whichever prepares the operation, and errors are the same.
//   - Only variables of scalars, enums and lists of them are taken as graph/coercion leaves them. gqlparser reads the others.
//   - No times are taken: gqlgen's statistics of an operation stay empty.
//
// It may import graph/guard and gqlgen. It uses no server.
package execution
