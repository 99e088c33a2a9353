package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"onhand/cli/sdl"
)

// commandLine is what kong parses: the shared settings and one field a command.
type commandLine struct {
	settings `embed:"" group:"Flags of every command:"`

	Serve   serveCommand      `cmd:"" default:"withargs" help:"Serve the API (the default)."`
	Migrate migrateCommand    `cmd:"" help:"Bring the database's tables up to date, and end."`
	Demo    demoCommand       `cmd:"" help:"Load the demo shop into an empty database."`
	Import  importCommand     `cmd:"" help:"Import stock from a file."`
	Export  exportCommand     `cmd:"" help:"Export all stock to a file."`
	Stock   stockCommand      `cmd:"" help:"Print the stock of products."`
	Ledger  ledgerCommand     `cmd:"" help:"Print the movements of a product."`
	Audit   auditCommand      `cmd:"" help:"Check that ledger, levels, reservations and Redis agree."`
	Schema  sdl.SchemaCommand `cmd:"" help:"Print the schema, or the subgraph for a gateway."`
	Token   tokenCommand      `cmd:"" help:"Print a bearer token for development."`
	Version versionCommand    `cmd:"" help:"Print the version."`
}

// Command is a parsed command line.
type Command struct {
	line   *commandLine
	parsed *kong.Context
}

// Parse reads the command line and the environment. For --help and for mistakes
// it prints the help or the usage, and ends the process.
func Parse(args []string, stdout, stderr io.Writer) *Command {
	line := &commandLine{}
	parser, err := newParser(line, kong.Writers(stdout, stderr))
	if err != nil {
		panic(err) // the struct tags above are wrong
	}
	parsed, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	return newCommand(line, parsed, os.Stdin, outputs{stdout, stderr})
}

// outputs are the standard output and the standard error.
type outputs struct{ stdout, stderr io.Writer }

// newCommand binds the standard streams to a parsed command line.
func newCommand(line *commandLine, parsed *kong.Context, stdin io.Reader, terminal outputs) *Command {
	parsed.BindTo(stdin, (*io.Reader)(nil))
	parsed.BindTo(terminal.stdout, (*io.Writer)(nil))
	parsed.Bind(terminal)
	return &Command{line: line, parsed: parsed}
}

func newParser(line *commandLine, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(line, append([]kong.Option{
		kong.Name("onhand"),
		kong.Description("Live stock for storefronts: a GraphQL API over Postgres and Redis."),
		kong.ShortUsageOnError(),
	}, options...)...)
}

// Run runs the command until it is done or the context ends.
func (c *Command) Run(ctx context.Context) error {
	c.parsed.BindTo(ctx, (*context.Context)(nil))
	return c.parsed.Run(&c.line.settings)
}

// Report writes the error with which Run ended, in the form of the log.
func (c *Command) Report(stderr io.Writer, err error) {
	if c.line.LogFormat == logFormatJSON {
		c.line.loggerTo(stderr).Error("ended", "error", err.Error())
		return
	}
	fmt.Fprintln(stderr, "onhand:", err)
}

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

// ExitCode is the exit code of the process: 0 for no error, 1 for errors that do
// not have a code of their own.
func ExitCode(err error) int {
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	}
	return 1
}

type versionCommand struct{}

// Run prints the version.
func (*versionCommand) Run(stdout io.Writer) error {
	fmt.Fprintln(stdout, "onhand", version())
	return nil
}

// version is what the Go tool chain recorded in the binary.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
