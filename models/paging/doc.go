// Package paging has the lists that the API shows in pages: what a page asks for, how a
// list is narrowed and ordered, and the answer.
//
// A page begins after a key or ends before one, and never at an offset: it costs the
// same wherever it is.
//
// May import: models. The package uses no server.
package paging
