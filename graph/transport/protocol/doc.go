// Package protocol reads the client's messages of graphql-transport-ws and writes the
// server's, to the letter of its specification, PROTOCOL.md of graphql-ws 6.
//
// A message that the specification does not have ends the connection with close code
// 4400: an unknown type, a missing or empty id, a payload of the wrong type, text that is
// not one JSON object. Names of members are compared exactly. Unknown members are
// ignored.
//
// Beyond the specification, a subscribe may name its document (by a hash or an id) instead
// of sending it, and connection_init may have a member "onRefusal" ([AnswersRefusals]).
//
// May import: jsonresponse, rawparams, wsframe, gqlgen.
//
// The package uses no server.
package protocol
