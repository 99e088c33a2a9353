package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"onhand/cli/serving"
	"onhand/cli/serving/shoppers"
	"onhand/cli/serving/telemetry"
	"onhand/store"
	"onhand/store/demoshop"
)

type serveCommand struct{ serving.Settings }

// Run serves until the context ends.
func (c *serveCommand) Run(ctx context.Context, s *settings, stdout io.Writer) error {
	if err := c.Check(); err != nil {
		return err
	}
	c.Version = version()
	log := slog.New(telemetry.LogHandler(s.logger().Handler()))
	slog.SetDefault(log)
	slog.SetLogLoggerLevel(slog.LevelDebug) // for libraries that print, such as about a client's broken handshake
	c.Traces = c.TraceSettings.Open(log)
	defer c.Traces.Close()
	st, err := s.open(c.Store())
	if err != nil {
		return err
	}
	defer st.Close()
	listener, err := net.Listen("tcp", c.ListenAddr)
	if err != nil {
		return err
	}
	if err := startStore(ctx, st, s.usesDemo(), log); err != nil {
		_ = listener.Close()
		return err
	}
	if err := c.shoppers(st, s); err != nil {
		_ = listener.Close()
		return err
	}
	if !c.TokensConfigured() {
		log.Info("every caller of this machine has every scope, because no bearer tokens are configured")
	}
	if c.ShopperCount > 0 {
		log.Info("simulated shoppers buy in the demo shop; SIMULATED_SHOPPERS=0 switches them off", "shoppers", c.ShopperCount)
	}
	database, redis := s.servers()
	log.Info("started", "version", version(), "database", database, "redis", redis, "address", listener.Addr().String())
	url := c.Scheme() + "://" + listener.Addr().String()
	fmt.Fprint(stdout, "Onhand is ready: ", url)
	if c.ShowsPlayground() {
		fmt.Fprintf(stdout, " (playground: %s/playground)", url)
	}
	fmt.Fprintln(stdout)
	return serving.Serve(ctx, listener, st, &c.Settings, log)
}

// startStore prepares the database and starts the background work.
func startStore(ctx context.Context, st *store.Store, demo bool, log *slog.Logger) error {
	if err := prepare(ctx, st, demo, log); err != nil {
		return err
	}
	return st.Start()
}

// prepare brings the tables up to date. With demo it loads the demo shop into a
// database that is still empty.
func prepare(ctx context.Context, st *store.Store, demo bool, log *slog.Logger) error {
	applied, err := st.MigrateWhenUp(ctx)
	if err != nil {
		return err
	}
	if applied > 0 {
		log.Info("migrated", "applied", applied)
	}
	if !demo {
		return nil
	}
	_, err = st.Seed(ctx, demoshop.Shop(time.Now()))
	return err
}

// shoppers decides how many shoppers are simulated. By default there are some in the demo
// shop of a server without settings only.
func (c *serveCommand) shoppers(st *store.Store, s *settings) error {
	count, err := c.ShopperSettings.Count(s.DatabaseURL == "" && !c.TokensConfigured(), c.TokensConfigured())
	if err != nil {
		return err
	}
	if count > 0 && !st.IsDemo() {
		if c.SimulatedShoppers > 0 {
			return shoppers.ErrNotTheDemo
		}
		count = 0
	}
	c.ShopperCount = count
	return nil
}
