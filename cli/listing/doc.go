// Package listing writes stock and stock movements for the terminal: as tables for people and as JSON for programs.
//
// Terms: a table is text in columns, a line for each row. In JSON, the names of fields and the form of times are those of
// the API.
//
// Files: table.go lays out columns; stock.go and movement.go write one noun each.
//
// May import: onhand/models. Package cli imports it. It has no server.
//
// Invariants: a cell never has a control character, so that stored text cannot move the cursor. Times are in UTC with
// milliseconds, as the API writes them, so that they can be given to --as-of, --since and --until.
package listing
