// Package execution serves GraphQL: it prepares operations, and leaves their execution to gqlgen's executor.
//
// Terms: an operation is prepared when its document is parsed and validated, its variables are coerced, and its complexity
// is within the limit: gqlgen's CreateOperationContext. A known document is one in guard.Documents.
//
//   - [Server] takes the place of gqlgen's handler.Server: it chooses the transport of a request.
//   - [EventPaths] completes the paths of errors inside events.
//   - [OperationExecutor] prepares operations. A known document is neither parsed nor validated again; another is parsed
//     once, within the limits of graph/guard and graph/validation.
//
// Invariants:
//   - The same extensions run in the same order as with gqlgen's executor, and errors are the same, but for their number.
//   - Only variables of scalars, enums and lists of them are taken as graph/coercion leaves them. gqlparser reads the others.
//   - No times are taken: gqlgen's statistics of an operation stay empty.
//
// It may import graph/guard, graph/validation and gqlgen. It uses no server.
package execution
