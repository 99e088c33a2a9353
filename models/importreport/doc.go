// Package importreport has the sentences of the report on an import: what happened to a
// row of a file, and why.
//
// May import: models. The package uses no server.
package importreport
