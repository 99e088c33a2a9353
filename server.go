// Onhand is live stock for storefronts: a GraphQL API over Postgres and Redis.
// Run "onhand --help" for commands and settings; ARCHITECTURE.md says how the
// code is organised. Package cli has the commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"onhand/cli"
)

func main() {
	command := cli.Parse(os.Args[1:], os.Stdout, os.Stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the default action returns: a second signal ends the process at once
	err := command.Run(ctx)
	stop()
	if err != nil {
		command.Report(os.Stderr, err)
	}
	os.Exit(cli.ExitCode(err))
}
