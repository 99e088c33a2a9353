// Package operations has what operators see of a server at one moment.
//
// Terms: what is of the instance is counted by the process that answers, since its
// start. What is shared is the state of the servers that all instances use.
//
// May import: the standard library. It uses no server.
package operations
