package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"onhand/bench/fixture"
	"onhand/bench/floors"
	"onhand/bench/testbed"
)

const (
	// shopProducts is how many products a shop has whose products all fit into a near cache.
	shopProducts = 1_000
	// floorPrefix begins the keys of the hashes that floors read.
	floorPrefix = "floor:"
	// benchSecret signs the tokens of a benchmark.
	benchSecret = "the secret of a benchmark, 32 bytes at least"
	// unreachedRate is a limit that no benchmark reaches: each request is counted.
	unreachedRate = "100000000000/1m"
	// fillChunk is how many hashes of floors one pipeline writes.
	fillChunk = 1_000
)

// shop is a database with products, and the servers over it.
type shop struct {
	command  *readCommand
	url      string
	admin    *pgx.Conn
	products int
	running  []*server
}

// server is one variant in a process of its own.
type server struct {
	name, address string
	headers       []string // of each request
	pid           int
	failure       func() error // why it ended; nil while it runs
	stop          func() error
}

// openShop makes a database with so many products, and empties Redis.
func (c *readCommand) openShop(ctx context.Context, products int) (_ *shop, err error) {
	c.databases++
	s := &shop{command: c, products: products}
	if s.url, s.admin, err = c.servers.Database(ctx, "reads"+strconv.Itoa(c.databases)); err != nil {
		return nil, err
	}
	if err := testbed.Migrate(ctx, c.Server, s.url, c.servers.Redis.URL()); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	if err := fixture.FillShop(ctx, s.admin, products); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	client, err := floors.Client(c.servers.Redis.URL())
	if err == nil {
		err = errors.Join(client.FlushAll(ctx).Err(), client.Close())
	}
	if err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// fillFloors writes the hashes that the floors with Redis read.
func (s *shop) fillFloors(ctx context.Context) (err error) {
	client, err := floors.Client(s.command.servers.Redis.URL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	for first := 0; first < s.products; first += fillChunk {
		var ids []string
		for n := first; n < min(first+fillChunk, s.products); n++ {
			ids = append(ids, fixture.ShopProduct(n))
		}
		if err := floors.FillRedis(ctx, client, floorPrefix, ids); err != nil {
			return err
		}
	}
	return nil
}

// start starts the server of a variant.
func (s *shop) start(ctx context.Context, name string, environment ...string) (*server, error) {
	started, err := s.startProcess(ctx, name, environment)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.running = append(s.running, started)
	return started, nil
}

func (s *shop) startProcess(ctx context.Context, name string, environment []string) (*server, error) {
	redisURL := s.command.servers.Redis.URL()
	if program := s.command.programOf(name); program != "" {
		var headers []string
		switch name {
		case withoutNear:
			environment = append(environment, "NEAR_CACHE_BYTES=0")
		case sampled:
			environment = append(environment, s.command.traced("0.01")...)
		case everyTraced:
			environment = append(environment, s.command.traced("1")...)
		case guarded:
			token, err := s.token(ctx)
			if err != nil {
				return nil, err
			}
			headers = []string{"Authorization: Bearer " + token}
			environment = append(environment, "AUTH_SECRET="+benchSecret, "ADMIN_ADDR=off", "RATE_READS="+unreachedRate)
		}
		instance, err := testbed.StartProgram(ctx, program, s.url, redisURL, environment...)
		if err != nil {
			return nil, err
		}
		return &server{name: name, headers: headers, address: instance.Address, pid: instance.PID(), failure: instance.Failure, stop: instance.Stop}, nil
	}
	child, err := testbed.StartChild(ctx, "floor", "--kind", name, "--database", s.url, "--redis", redisURL)
	if err != nil {
		return nil, err
	}
	return &server{name: name, address: child.Address, pid: child.PID(), failure: func() error { return nil }, stop: child.End}, nil
}

// programOf is the program of a variant; empty for a floor.
func (c *readCommand) programOf(name string) string {
	switch name {
	case onhand, withoutNear, guarded, sampled, everyTraced:
		return c.Server
	case uninstrumented:
		return c.Uninstrumented
	}
	return ""
}

// token makes the token of a shopper, as a developer does.
func (s *shop) token(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, s.command.Server, "token", "shopper")
	command.Env = append(os.Environ(), "AUTH_SECRET="+benchSecret)
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("onhand token: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// close ends the servers and the connection to the database.
func (s *shop) close(ctx context.Context) error {
	var errs []error
	for _, one := range s.running {
		errs = append(errs, one.stop())
	}
	return errors.Join(append(errs, s.admin.Close(context.WithoutCancel(ctx)))...)
}

// metric reads one metric of an Onhand server.
func (s *server) metric(ctx context.Context, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }() // only read
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}

// floorCommand is one floor in a process of its own.
type floorCommand struct {
	Kind     string `required:""`
	Database string `required:""`
	Redis    string `required:""`
}

// Run serves, prints the address, and ends when its input ends.
func (c floorCommand) Run(ctx context.Context) error {
	handler, err := c.handler(ctx)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/graphql", handler)
	return testbed.Serve(ctx, &http.Server{Handler: mux})
}

func (c floorCommand) handler(ctx context.Context) (http.Handler, error) {
	switch c.Kind {
	case jsonFloor:
		return floors.JSON(), nil
	case staticFloor:
		return floors.Static(), nil
	case selectFloor:
		pool, err := floors.Pool(ctx, c.Database)
		return floors.Select(pool), err
	}
	client, err := floors.Client(c.Redis)
	if c.Kind == naiveFloor {
		return floors.Naive(client, floorPrefix), err
	}
	return floors.Redis(client, floorPrefix), err
}
