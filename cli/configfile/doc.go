// Package configfile reads settings from a configuration file.
//
// Terms: a setting is a flag of the serve command that has an environment variable. The file is YAML (so JSON too): one
// mapping from names of flags, such as listen-addr, to a value or a list of values.
//
// A flag counts before an environment variable, the variable before the file, the file before the default. Where a
// setting may be in a file of its own (auth-secret-file), a flag or variable with one of the two also counts before the
// other one in the file. A command ignores settings that it does not have.
//
// May import: nothing of this module. Only cli imports it.
//
// Invariants: a name that is no setting is refused, with its line and the nearest name. No message contains a value.
package configfile
