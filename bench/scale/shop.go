package main

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/testbed"
	"onhand/store/storetest"
)

// shopParams say what a shop consists of.
type shopParams struct {
	products, instances int
	redis               string   // its kind; default: one Redis
	settings            []string // of the instances
	pooled              bool     // pgbouncer is between the instances and Postgres
}

// shop is a database with products, a Redis of its own, and the instances over both.
type shop struct {
	program   string
	products  int
	url       string // of the database, as instances use it
	admin     *pgx.Conn
	postgres  *storetest.PostgresServer
	redis     *testbed.Redis
	instances []*testbed.Program
	balancer  string // the address of haproxy; empty where there is none
	baskets   []loadgen.Basket
	closing   []func() error // the last first
}

// openShop makes a database with products, and starts what belongs to it.
func (c *scaleCommand) openShop(ctx context.Context, p shopParams) (_ *shop, err error) {
	c.databases++
	s := &shop{program: c.program("onhand"), products: p.products, postgres: c.servers.Postgres}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.url, s.admin, err = c.servers.Database(ctx, "scale"+strconv.Itoa(c.databases)); err != nil {
		return nil, err
	}
	s.atEnd(func() error { return s.admin.Close(context.WithoutCancel(ctx)) })
	if s.redis, err = testbed.StartRedis(ctx, cmp.Or(p.redis, testbed.OneRedis)); err != nil {
		return nil, err
	}
	s.atEnd(s.redis.Close)
	if err = testbed.Migrate(ctx, s.program, s.url, s.redis.URL); err != nil {
		return nil, err
	}
	if err = fixture.FillShop(ctx, s.admin, p.products); err != nil {
		return nil, err
	}
	var ids []string
	for i := range p.products {
		ids = append(ids, fixture.ShopProduct(i))
	}
	s.baskets = loadgen.Single(ids)
	if p.pooled {
		pooler, through, err := storetest.StartPooler(s.url)
		if err != nil {
			return nil, err
		}
		s.atEnd(pooler.Close)
		s.url = through
	}
	for range p.instances {
		if err := s.start(ctx, p.settings...); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// start starts one more instance.
func (s *shop) start(ctx context.Context, settings ...string) error {
	instance, err := testbed.StartProgram(ctx, s.program, s.url, s.redis.URL, settings...)
	if err == nil {
		s.atEnd(instance.Stop)
		s.instances = append(s.instances, instance)
	}
	return err
}

// way is one way to call the instances of a shop.
type way struct {
	*shop
	name   string
	called []string           // the addresses that are called, in turn
	spend  []*testbed.Program // the instances whose CPU time counts
	// replica is a read replica whose CPU time counts; nil for none.
	replica *storetest.PostgresServer
}

// directly calls all instances of the shop.
func (s *shop) directly(name string) way {
	w := way{shop: s, name: name, spend: s.instances}
	for _, instance := range s.instances {
		w.called = append(w.called, instance.Address)
	}
	return w
}

// balanced calls the proxy of the shop.
func (s *shop) balanced(name string) way {
	w := s.directly(name)
	w.called = []string{s.balancer}
	return w
}

// totals are the counters of the servers at one moment.
type totals struct {
	instances, redis, postgres, replica time.Duration
	programs                            testbed.CPU
	wal                                 float64 // bytes
	kept                                float64 // bytes of reservations and ledger, with their indexes
	sent                                float64 // bytes that Redis has sent
	reservations                        int
}

// totals reads the counters.
func (w way) totals(ctx context.Context) (t totals, err error) {
	err = w.admin.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, (SELECT count(*) FROM reservations),
		pg_total_relation_size('reservations') + pg_total_relation_size('ledger_rows') + pg_total_relation_size('ledger_chunks')`).
		Scan(&t.wal, &t.reservations, &t.kept)
	if err != nil {
		return t, err
	}
	if t.sent, err = w.redis.Sent(ctx); err != nil {
		return t, err
	}
	nodes, err := w.redis.CPU(ctx)
	if err != nil {
		return t, err
	}
	for _, spent := range nodes {
		t.redis += spent
	}
	for _, instance := range w.spend {
		t.instances += testbed.ProcessCPU(instance.PID())
	}
	t.postgres, t.programs = testbed.TreeCPU(w.postgres.PID()), testbed.CPUTimes()
	if w.replica != nil {
		t.replica = testbed.TreeCPU(w.replica.PID())
	}
	return t, nil
}

// failure is why an instance ended; nil while all run.
func (s *shop) failure() (err error) {
	for _, instance := range s.instances {
		err = errors.Join(err, instance.Failure())
	}
	return err
}

func (s *shop) atEnd(end func() error) { s.closing = append(s.closing, end) }

func (s *shop) close() error {
	var errs []error
	for i := len(s.closing) - 1; i >= 0; i-- {
		errs = append(errs, s.closing[i]())
	}
	return errors.Join(errs...)
}

// readFrom is the setting that names a read replica of the shop's database.
func (s *shop) readFrom(replica *storetest.PostgresServer) string {
	_, rest, _ := strings.Cut(replica.DSN("postgres"), "@")
	host, _, _ := strings.Cut(rest, "/")
	before, after, _ := strings.Cut(s.url, "@")
	_, database, _ := strings.Cut(after, "/")
	return "DATABASE_READ_URL=" + before + "@" + host + "/" + database
}
