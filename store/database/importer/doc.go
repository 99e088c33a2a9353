// Package importer takes stock from files: it copies the rows into a temporary table,
// decides all of them with one statement, and writes what changes in one transaction.
//
// # Steps
//
//	stage    copy the rows of the file into import_rows
//	decide   fill import_plan (one decision for each row) and import_work (what to write)
//	apply    update and insert levels, insert movements, a few thousand at a time
//	report   return the decisions in the order of lines
//
// # Invariants
//
//   - All rows take effect, or none; with SkipBad, all that are fine.
//   - Memory does not grow with the file.
//   - Levels are locked in the order of all locks, from the decision to the commit.
//   - A row whose writer saw other quantities than there are is stale, and refused.
//
// May import: models and packages below it, counting, dialect. When the server is gone or silent, an import ends with
// UNAVAILABLE and without effect.
package importer
