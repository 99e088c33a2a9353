// Package rawparams decodes the JSON of a GraphQL request.
//
// [Decode] reads exactly what encoding/json reads into gqlgen's RawParams, with numbers kept as text, and the documentId that
// names a document in its place. A request in its
// usual form is read by hand, without reflection: the members query, operationName, variables, extensions and documentId, each at most
// once, and strings whose escapes are short. Anything else, invalid JSON included, is left to encoding/json, so that both
// ways accept the same requests. [DecodeValue] reads any other JSON with the same rules.
//
// Invariants:
//   - No value refers to the bytes that were decoded: a caller may use them again.
//   - Nesting has a bound (depthMax) here, and the one of encoding/json there.
//
// It may import gqlgen. It uses no server.
package rawparams
