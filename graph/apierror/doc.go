// Package apierror turns errors into what a client may see. It is the only place
// that does.
//
// Terms: a fault (models.Fault) is an error with a code and a message for clients.
// Presenting an error means giving it a code and a message that a client may see.
//
// Invariants:
//   - Every presented error has extensions.code.
//   - A fault keeps its code, however it is wrapped.
//   - Any other error is INTERNAL with one fixed message. Its text goes to the log
//     only, so SQL, keys and stacks do not reach a client.
//   - UNAVAILABLE has extensions.retryAfterMs.
//   - The number of log lines per response is bounded. Of equal UNAVAILABLE faults the
//     first is logged, and then every 30 s how many there were.
//   - A client that goes away is logged at the level debug only.
//
// May import: models, gqlgen's runtime, gqlparser.
//
// When the store is gone, its faults are presented as UNAVAILABLE.
package apierror
