package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"onhand/bench/fixture"
	"onhand/bench/testbed"
	"onhand/models"
	"onhand/store"
)

const (
	// shopProducts is how many products the shop has.
	shopProducts = 1_000
	// channelPrefix begins the Redis channels of changes.
	channelPrefix = "inventory_change:"
	// readMax is how many products one query reads.
	readMax = 250
)

// shop is a database with products, Redis, and an instance in this process that changes the products.
type shop struct {
	command  *streamCommand
	flags    fixture.StoreFlags
	admin    *pgx.Conn
	store    *store.Store
	versions []int64 // by product
}

// openShop makes a database, and where writing starts the instance that writes.
func (c *streamCommand) openShop(ctx context.Context, writing bool) (*shop, error) {
	return c.openShopOver(ctx, c.servers.Redis.URL(), writing)
}

// openShopOver is openShop with another Redis.
func (c *streamCommand) openShopOver(ctx context.Context, redisURL string, writing bool) (_ *shop, err error) {
	s := &shop{command: c}
	c.databases++
	s.flags.Redis = redisURL
	if s.flags.Database, s.admin, err = c.servers.Database(ctx, "streams"+strconv.Itoa(c.databases)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	if err := testbed.Migrate(ctx, c.Server, s.flags.Database, s.flags.Redis); err != nil {
		return nil, err
	}
	if err := fixture.FillShop(ctx, s.admin, shopProducts); err != nil {
		return nil, err
	}
	if !writing {
		return s, nil
	}
	if s.store, err = s.flags.Start(); err != nil {
		return nil, err
	}
	return s, s.readVersions(ctx)
}

// readVersions reads the version of each product.
func (s *shop) readVersions(ctx context.Context) error {
	for first := 0; first < shopProducts; first += readMax {
		var ids []string
		for i := first; i < min(first+readMax, shopProducts); i++ {
			ids = append(ids, fixture.ShopProduct(i))
		}
		stocks, err := s.store.Stocks(ctx, ids)
		if err != nil {
			return err
		}
		for i, stock := range stocks {
			if stock == nil {
				return fmt.Errorf("no stock of %s", ids[i])
			}
			s.versions = append(s.versions, stock.Version)
		}
	}
	return nil
}

// change sells one unit of a product. The calls for one product come one after the other.
func (s *shop) change(ctx context.Context, product int) error {
	s.versions[product]++
	result, err := s.store.Write(ctx, models.Reserve{
		IdempotencyKey: rand.Text(), TTL: fixture.TTL, Lines: []models.RequestedLine{{ProductID: fixture.ShopProduct(product), Quantity: 1}},
	})
	if err != nil {
		return err
	}
	if result.Reservation == nil || len(result.Errors) > 0 {
		return fmt.Errorf("a reservation was not made: %+v", result)
	}
	return nil
}

func (s *shop) close(ctx context.Context) error {
	if s.store != nil {
		s.store.Close()
	}
	return s.admin.Close(ctx)
}

// server is one variant in a process of its own.
type server struct {
	name, address string
	pid           int
	failure       func() error // why it ended; nil while it runs
	stop          func() error
	changes       []int64 // what the floor has counted, by product; nil for Onhand
}

// The variants.
const (
	onhand = "Onhand"
	bare   = "bare WebSocket server"
)

func (s *shop) start(ctx context.Context, variant string) (*server, error) {
	if variant == onhand {
		program, err := testbed.StartProgram(ctx, s.command.Server, s.flags.Database, s.flags.Redis)
		if err != nil {
			return nil, err
		}
		return &server{name: variant, address: program.Address, pid: program.PID(), failure: program.Failure, stop: program.Stop}, nil
	}
	if variant != bare {
		return inProcess(variant), nil
	}
	child, err := testbed.StartChild(ctx, "floor", "--redis", s.flags.Redis)
	if err != nil {
		return nil, err
	}
	return &server{
		name: variant, address: child.Address, pid: child.PID(), failure: func() error { return nil }, stop: child.End, changes: make([]int64, shopProducts),
	}, nil
}

// version is the version that the clients of a product have after all changes so far.
func (s *shop) version(v *server, product int) int64 {
	if v.name == onhand {
		return s.versions[product]
	}
	return v.changes[product]
}

// changed publishes a change, which v sends.
func (s *shop) changed(ctx context.Context, v *server, product int) error {
	if v.changes != nil {
		v.changes[product]++
	}
	return s.change(ctx, product)
}

// residentBytes is the resident memory of a process.
func residentBytes(pid int) (int64, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm: %q", raw)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// goroutines is how many goroutines a server has.
func (v *server) goroutines() (int, error) {
	response, err := http.Get("http://" + v.address + "/metrics")
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), "go_goroutines "); found {
			n, err := strconv.ParseFloat(text, 64)
			return int(n), err
		}
	}
	return 0, errors.Join(errors.New("no go_goroutines in /metrics"), lines.Err())
}
