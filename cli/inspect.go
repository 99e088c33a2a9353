package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"onhand/cli/listing"
	"onhand/models"
	"onhand/models/paging"
	"onhand/store"
)

// ledgerLimitMax bounds the movements that one command lists. They are in memory, at
// some 500 bytes each.
const ledgerLimitMax = 100_000

// stockCommand is onhand stock PRODUCT...
type stockCommand struct {
	Products []string `arg:"" name:"product" help:"The ids of the products, at most 250."`
	Channel  string   `env:"STOCK_CHANNEL" xor:"place" placeholder:"ID" help:"Only the locations of this channel: the stock that it sells."`
	Location string   `env:"STOCK_LOCATION" xor:"place" placeholder:"ID" help:"Only this location."`
	AsOf     moment   `name:"as-of" env:"STOCK_AS_OF" placeholder:"TIME" help:"As it was at this moment, by the ledger: 2026-01-05T12:05:57.142Z, or without a zone, in that of this machine: 2026-01-05T12:05, 2026-01-05."`
	JSON     bool     `name:"json" env:"STOCK_JSON" help:"A JSON array, for programs."`
}

// Help is the text that onhand stock --help adds.
func (*stockCommand) Help() string {
	return "Reads the database, not Redis; it may run beside live traffic. Ends with 1 when a product is unknown."
}

// Run prints the stock of products.
func (c *stockCommand) Run(ctx context.Context, s *settings, stdout io.Writer) error {
	if len(c.Products) > models.StocksMax {
		return fmt.Errorf("at most %d products at once, not %d", models.StocksMax, len(c.Products))
	}
	st, err := s.openExisting(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	directory, err := st.StoredDirectory(ctx)
	if err != nil {
		return withoutCode(err)
	}
	narrow, err := c.narrow(directory)
	if err != nil {
		return err
	}
	found, unknown, err := c.read(ctx, st)
	if err != nil {
		return withoutCode(err)
	}
	for i, stock := range found {
		found[i] = narrow(stock)
	}
	write := listing.Stocks
	if c.JSON {
		write = listing.StocksJSON
	}
	if err := write(stdout, found, directory); err != nil {
		return err
	}
	return unknownProducts(unknown)
}

// narrow returns the function that leaves out the levels which are not asked for.
func (c *stockCommand) narrow(directory *models.Directory) (func(*models.Stock) *models.Stock, error) {
	switch {
	case c.Channel != "":
		members, known := directory.Channel(c.Channel)
		if !known {
			return nil, fmt.Errorf("no channel %q", c.Channel)
		}
		return func(s *models.Stock) *models.Stock { return s.In(members) }, nil
	case c.Location != "":
		if _, known := directory.Location(c.Location); !known {
			return nil, fmt.Errorf("no location %q", c.Location)
		}
		only := &models.ChannelMembers{Members: map[string]bool{c.Location: true}}
		return func(s *models.Stock) *models.Stock { return s.In(only) }, nil
	}
	return func(s *models.Stock) *models.Stock { return s }, nil
}

// read reads the products, now or as of the moment that is asked for.
func (c *stockCommand) read(ctx context.Context, st *store.Store) (found []*models.Stock, unknown []string, err error) {
	stocks, err := st.StoredStocks(ctx, c.Products)
	if err != nil {
		return nil, nil, err
	}
	for i, stock := range stocks {
		if stock == nil {
			unknown = append(unknown, c.Products[i])
			continue
		}
		if !c.AsOf.IsZero() {
			if stock, err = st.StockAsOf(ctx, stock.ProductID, c.AsOf.end()); err != nil {
				return nil, nil, fmt.Errorf("--as-of: %w", withoutCode(err))
			}
		}
		found = append(found, stock)
	}
	return found, unknown, nil
}

// unknownProducts is an error that names them; nil for none.
func unknownProducts(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = fmt.Sprintf("%q", id)
	}
	return errors.New("no product " + strings.Join(slices.Compact(quoted), ", "))
}

// ledgerCommand is onhand ledger PRODUCT.
type ledgerCommand struct {
	Product  string `arg:"" name:"product" help:"The id of the product."`
	Location string `env:"LEDGER_LOCATION" placeholder:"ID" help:"Only movements at this location."`
	Since    moment `env:"LEDGER_SINCE" placeholder:"TIME" help:"Only movements from this moment on; written as --as-of of onhand stock."`
	Until    moment `env:"LEDGER_UNTIL" placeholder:"TIME" help:"Only movements until this moment."`
	Limit    int    `env:"LEDGER_LIMIT" default:"20" help:"How many movements, at most 100,000."`
	JSON     bool   `name:"json" env:"LEDGER_JSON" help:"A JSON array, for programs."`
}

// Help is the text that onhand ledger --help adds.
func (*ledgerCommand) Help() string {
	return "Lists the movements of the product, the newest first. It may run beside live traffic. Ends with 1 when the product is unknown."
}

// Run prints the newest movements of a product.
func (c *ledgerCommand) Run(ctx context.Context, s *settings, terminal outputs) error {
	if c.Limit < 1 || c.Limit > ledgerLimitMax {
		return fmt.Errorf("--limit must be between 1 and %d", ledgerLimitMax)
	}
	st, err := s.openExisting(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	directory, err := st.StoredDirectory(ctx)
	if err != nil {
		return withoutCode(err)
	}
	if _, known := directory.Location(c.Location); !known && c.Location != "" {
		return fmt.Errorf("no location %q", c.Location)
	}
	stocks, err := st.StoredStocks(ctx, []string{c.Product})
	if err != nil {
		return withoutCode(err)
	}
	if stocks[0] == nil {
		return unknownProducts([]string{c.Product})
	}
	movements, more, err := c.read(ctx, st)
	if err != nil {
		return withoutCode(err)
	}
	write := listing.Movements
	if c.JSON {
		write = listing.MovementsJSON
	}
	if len(movements) == 0 && !c.JSON {
		fmt.Fprintln(terminal.stdout, "no movements")
		return nil
	}
	if err := write(terminal.stdout, movements, directory); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(terminal.stderr, "there are older movements; --limit and --until show them\n")
	}
	return nil
}

// read reads pages until there are enough movements. more reports whether others match.
func (c *ledgerCommand) read(ctx context.Context, st *store.Store) (movements []*models.StockMovement, more bool, err error) {
	filter := models.MovementFilter{ProductID: c.Product, LocationID: c.Location}
	if !c.Since.IsZero() {
		filter.Since = &c.Since.Time
	}
	if until := c.Until.end(); !c.Until.IsZero() {
		filter.Until = &until
	}
	for page := (paging.MovementRequest{}); ; {
		page.First = min(models.PageSizeMax, c.Limit-len(movements))
		read, err := st.Movements(ctx, page, filter)
		if err != nil {
			return nil, false, err
		}
		movements = append(movements, read.Movements...)
		if !read.HasNext || read.End == 0 || len(movements) >= c.Limit {
			return movements, read.HasNext, nil
		}
		page.After = read.End
	}
}

// moment is a time on the command line.
type moment struct{ time.Time }

// momentLayouts are the layouts without a zone.
var momentLayouts = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}

// UnmarshalText parses RFC 3339, or a time in the zone of this machine.
func (m *moment) UnmarshalText(text []byte) (err error) {
	if m.Time, err = time.Parse(time.RFC3339, string(text)); err == nil {
		return nil
	}
	for _, layout := range momentLayouts {
		if m.Time, err = time.ParseInLocation(layout, string(text), time.Local); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is not a time such as 2026-01-05T12:05:57Z, 2026-01-05T12:05 or 2026-01-05", text)
}

// end is the last time that is written as m: what is shown has milliseconds, the
// database microseconds.
func (m moment) end() time.Time {
	return m.Truncate(time.Millisecond).Add(time.Millisecond - time.Microsecond)
}
