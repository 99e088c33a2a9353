// Package servers parts the configuration of a URL that names several servers.
//
// Terms: a server is a host and a port of the URL, whatever number of addresses the name of
// the host has.
//
// May import: pgx.
package servers
