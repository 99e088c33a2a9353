package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"onhand/store/demoshop"
)

// demoCommand is onhand demo.
type demoCommand struct{}

// Help is the text that onhand demo --help adds.
func (*demoCommand) Help() string {
	return "Loads the demo shop into the database, which must have no products. It shows the whole schema: products that are not tracked, on backorder, low or sold out, several locations and channels. A database that has the demo shop already is left as it is."
}

// errHasProducts refuses a database that is a shop of its own.
var errHasProducts = errors.New("the database has products already; the demo shop is loaded into an empty database only")

// Run loads the demo shop into an empty database.
func (*demoCommand) Run(ctx context.Context, s *settings, stdout io.Writer) error {
	st, err := s.openMigrated(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	shop := demoshop.Shop(time.Now())
	loaded, err := st.Seed(ctx, shop)
	if err != nil {
		return withoutCode(err)
	}
	if loaded {
		fmt.Fprintf(stdout, "loaded the demo shop: %d levels at %d locations, %d channels\n", len(shop.Counts), len(shop.Locations), len(shop.Channels)+len(shop.ChannelSettings))
		return nil
	}
	meta, err := st.ReadMeta(ctx)
	switch {
	case err != nil:
		return withoutCode(err)
	case !meta.Demo:
		return errHasProducts
	}
	fmt.Fprintln(stdout, "the demo shop is there already; nothing was changed")
	return nil
}
