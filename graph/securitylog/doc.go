// Package securitylog logs who was refused, and who used a scope to change something.
//
// A line has the caller's subject and address, the operation's name and fields, and the
// codes of the refusal. The server's log handler adds the ids of the request and its trace.
// A line has no arguments: those may contain ids of reservations and keys.
//
// Invariants: a client without a token cannot fill the log: lines about refusals are
// bounded in a second, and the next line says how many were left out.
//
// May import: onhand/graph/guard and onhand/models.
package securitylog
