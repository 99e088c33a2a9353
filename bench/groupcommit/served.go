package main

import (
	"context"
	"errors"
	"path/filepath"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

// servedVariant is one way over HTTP: how it writes, how many servers there are, and which optimisations they are without.
type servedVariant struct {
	name, writer string
	servers      int
	without      []string
}

// servedVariants are those of the rows.
var servedVariants = []servedVariant{
	{name: oneInstance, writer: writerOnhand, servers: 1},
	{name: eachServed, writer: writerEach, servers: 1},
	{name: nothingServed, writer: writerNothing, servers: 1},
	{name: twoInstances, writer: writerOnhand, servers: 2},
	{name: nothingServedTwice, writer: writerNothing, servers: 2},
}

// openServed makes the variants over HTTP. The servers of a variant share a database of its own and the Redis of all.
func openServed(source basketSource, variants []servedVariant) opener {
	return func(ctx context.Context, c *measureCommand, w workload, is wanted) (list []variant, closeAll func() error, err error) {
		baskets, err := source(c)
		if err != nil {
			return nil, nil, err
		}
		var closing closers
		defer func() {
			if err != nil {
				err = errors.Join(err, closing.close())
			}
		}()
		for _, s := range variants {
			if !is(s.name) {
				continue
			}
			v, err := closing.openOne(ctx, c, w, s, baskets)
			if err != nil {
				return nil, nil, err
			}
			list = append(list, v)
		}
		return list, closing.close, nil
	}
}

// openOne makes one variant.
func (c *closers) openOne(ctx context.Context, run *measureCommand, w workload, s servedVariant, baskets loadgen.Baskets) (variant, error) {
	products := baskets.Products
	if s.writer == writerNothing {
		products = products[:1] // it sells nothing
	}
	f, err := c.fixture(ctx, run, products)
	if err != nil {
		return variant{}, err
	}
	f.Leave()
	f.Without = append(f.Without, s.without...)
	profile := ""
	if run.Profile != "" && s.name == oneInstance {
		profile = filepath.Join(run.Profile, slug(w.name)+"-server.cpu.prof")
	}
	pool, err := c.serve(ctx, f.StoreFlags, s.writer, profile, s.servers, w.callers)
	if err != nil {
		return variant{}, err
	}
	call := pool.Reserve(baskets.List)
	v := variant{name: s.name, profiled: profile != "", turn: func(l loadgen.Params) (loadgen.Measurement, error) { return loadgen.Run(l, "http", call) }}
	if s.writer != writerNothing {
		v.vacuum = f.Vacuum
		v.audit = func(ctx context.Context, total loadgen.Measurement) error {
			return errors.Join(f.AuditDeadlocks(ctx), f.Audit(ctx, total))
		}
	}
	return v, nil
}

// serve starts servers and opens a connection for each caller, to the servers in turn. profile, where not empty, is the
// file for the CPU profile of the server.
func (c *closers) serve(ctx context.Context, f fixture.StoreFlags, writer, profile string, servers, callers int) (loadgen.Pool, error) {
	var addresses []string
	for range servers {
		server, err := testbed.StartChild(ctx, append([]string{"serve", "--writer", writer, "--profile", profile}, f.Arguments()...)...)
		if err != nil {
			return nil, err
		}
		c.atEnd(server.End)
		addresses = append(addresses, server.Address)
	}
	pool, err := loadgen.DialPool(addresses, callers)
	if err == nil {
		c.atEnd(pool.Close)
	}
	return pool, err
}
