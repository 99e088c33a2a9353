package main

import (
	"context"
	"errors"
	"path/filepath"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

// servedVariants are the variants over HTTP: how each writes, and how many servers there are.
var servedVariants = []struct {
	name, writer string
	servers      int
}{
	{oneInstance, writerOnhand, 1},
	{eachServed, writerEach, 1},
	{nothingServed, writerNothing, 1},
	{twoInstances, writerOnhand, 2},
	{nothingServedTwice, writerNothing, 2},
}

// openServed makes the variants over HTTP. The servers of a variant share a database of its own and the Redis of all.
func openServed(source basketSource) opener {
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
		for _, s := range servedVariants {
			if !is(s.name) {
				continue
			}
			products := baskets.Products
			if s.writer == writerNothing {
				products = products[:1] // it sells nothing
			}
			f, err := closing.fixture(ctx, c, products)
			if err != nil {
				return nil, nil, err
			}
			f.Leave()
			profile := ""
			if c.Profile != "" && s.name == oneInstance {
				profile = filepath.Join(c.Profile, slug(w.name)+"-server.cpu.prof")
			}
			pool, err := closing.serve(ctx, f.StoreFlags, s.writer, profile, s.servers, w.callers)
			if err != nil {
				return nil, nil, err
			}
			call := pool.Reserve(baskets.List)
			v := variant{name: s.name, profiled: profile != "", turn: func(l loadgen.Params) (loadgen.Measurement, error) { return loadgen.Run(l, "http", call) }}
			if s.writer != writerNothing {
				v.vacuum = f.Vacuum
				v.audit = func(ctx context.Context, total loadgen.Measurement) error {
					return errors.Join(f.AuditDeadlocks(ctx), f.Audit(ctx, total))
				}
			}
			list = append(list, v)
		}
		return list, closing.close, nil
	}
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
