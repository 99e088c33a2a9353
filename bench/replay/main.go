package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"onhand/store/stockfile"
)

// customersMax bounds --customers, and with it connections, goroutines and the queue.
const customersMax = 4096

// Config is the command line.
type Config struct {
	URL       string            `default:"http://127.0.0.1:8080/graphql" help:"The GraphQL endpoint."`
	Token     string            `env:"REPLAY_TOKEN" help:"Bearer token with the scopes read:inventory, write:inventory and write:orders, where the server wants one."`
	File      string            `required:"" type:"existingfile" help:"The Online Retail CSV, plain or compressed with gzip."`
	Opening   stockfile.Opening `default:"full" help:"The opening stock that was imported: full, or the same fraction."`
	Location  string            `default:"${location}" help:"The location that takes returns and write-offs."`
	Customers int               `default:"32" help:"How many customers act concurrently."`
	Speed     float64           `default:"0" help:"How many times faster than the file's own clock; 0 is as fast as possible."`
	Limit     int               `default:"0" help:"Stop after so many invoices; 0 is all."`
	Run       string            `help:"Name of the run, the prefix of its idempotency keys: a run repeated under its name does nothing twice, and asks again for what was refused. Made up when left out."`
	RetryFor  time.Duration     `default:"60s" help:"How long one call is repeated while the server is unavailable."`
	Report    string            `help:"Also write the report to this file, as JSON."`

	AuditDatabase string `help:"Also audit this database: postgres://… or sqlite:PATH."`
	AuditRedis    string `help:"Also audit this Redis against the database: redis://…"`

	Settle time.Duration `default:"10s" help:"How long a difference may heal, and the outbox drain, before it counts."`
}

// Validate is called by kong.
func (c Config) Validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return fmt.Errorf("--url %q must be an http or https address", c.URL)
	case c.Customers < 1 || c.Customers > customersMax:
		return fmt.Errorf("--customers must be 1 to %d", customersMax)
	case !(c.Speed >= 0):
		return errors.New("--speed must be 0 or more")
	case c.Limit < 0:
		return errors.New("--limit must be 0 or more")
	case len(c.Run) > 100:
		return errors.New("--run must be at most 100 characters")
	case c.RetryFor < 0 || c.Settle < 0 || c.Settle > auditTime:
		return fmt.Errorf("--retry-for must be 0 or more, --settle 0 to %s", auditTime)
	case c.AuditRedis != "" && c.AuditDatabase == "":
		return errors.New("--audit-redis needs --audit-database to compare with")
	}
	return checkAuditDatabase(c.AuditDatabase)
}

var options = []kong.Option{
	kong.Name("replay"),
	kong.Description("Sends a real shop's year of invoices to a running server and checks that no unit was lost or sold twice."),
	kong.Vars{"location": stockfile.OnlineRetailLocation().LocationID},
}

func main() {
	var config Config
	kong.Parse(&config, options...)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the program at once
	report, err := Replay(ctx, config, os.Stdout)
	if report.Run != "" {
		report.print(os.Stdout)
		if config.Report != "" {
			err = errors.Join(err, report.write(config.Report))
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
}
