// Package cli has the commands of the program: serve, migrate, demo, import, export, stock, ledger, audit, token
// and version. It reads the settings, puts the other packages together and prints what a command has done.
//
// Terms: a setting is a flag with an environment variable of the same name. [Command] is a parsed command line. A report
// is a CSV file that lists every row of an import. Stock can come from two kinds of files: a stock file says what is on
// the shelf; a file of invoices is a year of sales, from which the opening stock is computed.
//
// Files: command.go parses the command line; settings.go has the settings that all commands share; serve.go,
// migrate.go, demo.go, import.go, opening.go, export.go and audit.go one command or part of it each;
// inspect.go stock and ledger; token.go a bearer token for development; files.go, report.go and progress.go what import and export read, print and write.
//
// May import: configfile, listing, serving, shoppers, demoshop, guard, tokens, models and packages below it, store, audit, openingstock, stockfile. Only the program imports it.
//
// Invariants: settings that can never work are refused before a connection is opened. No message contains a password. An
// output file appears in its place only when it is complete.
//
// When the database is down, every command but serve ends with an error; serve waits up to half a minute at the start and
// then answers UNAVAILABLE until the database is back. Without Redis the server is degraded and /readyz says so.
package cli
