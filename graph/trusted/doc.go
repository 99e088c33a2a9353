// Package trusted serves the documents of a manifest: a file that a shop's build writes, with every operation of its
// clients.
//
// Terms: a manifest maps ids to documents. A client sends the id, as documentId or as the hash of
// extensions.persistedQuery, in place of the document. A document is trusted when the manifest has its text.
//
// Two formats are read:
//
//	{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "…", "body": "query …", …}, …]}
//	{"…": "query …", …}                                                                      (Relay: id to document)
//
// Trusted documents are served beside others, or alone. Alone, a caller that is not exempt gets FORBIDDEN for any
// other document and for any other id. Exempt is the scope admin, and a gateway: it makes the text of its documents
// itself. A request with the gateway key in its header is a gateway's. The key grants no scope.
//
// Invariants:
//   - The file is read again when it changes. A file that cannot be read leaves the documents as they are.
//   - A document that could not be executed is left out, and logged.
//   - The file, its documents and their ids are bounded.
//   - Ids are looked up before automatic persisted queries. A caller that must send trusted documents never reaches
//     these.
//
// May import: models, gqlgen's runtime, gqlparser. The package uses no server.
package trusted
