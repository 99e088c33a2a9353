// Package rowjson writes the JSON of reservations by hand: the input that is hashed, and
// the lines that are stored.
//
// encoding/json inspects every struct anew by reflection. The bytes are the same: a
// property test compares them. Gain: a tenth of the process's work for one reservation
// (docs/decisions.md, record 28). A benchmark switches it off with [JSON].
//
// It imports models only.
package rowjson
