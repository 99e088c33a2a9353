package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"onhand/store/storetest"
)

// decrementPool is how many connections share the calls: enough that Redis always finds some waiting, few enough that
// each brings work. More were slower on two cores.
const decrementPool = 64

// decrement is the usual trick: a counter in Redis and a script that takes from it when there is enough. Nobody is told,
// nothing but the number is kept.
type decrement struct {
	name   string
	client *redis.Client
	keys   map[string]string // by product
}

// decrementScript takes units from a counter.
//
// KEYS[1] the counter
// ARGV[1] units
//
// Returns 1 if there was enough, else 0.
var decrementScript = redis.NewScript(`
local n = tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[1])) < n then return 0 end
redis.call('DECRBY', KEYS[1], n)
return 1
`)

func openDecrement(ctx context.Context, name string, server *storetest.RedisServer, products []string) (*decrement, error) {
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		return nil, err
	}
	options.PoolSize, options.MinIdleConns, options.MaxActiveConns, options.Protocol = decrementPool, decrementPool, decrementPool, 2
	d := &decrement{name: name, client: redis.NewClient(options), keys: map[string]string{}}
	for _, id := range products {
		d.keys[id] = name + ":" + id
		if err := d.client.Set(ctx, d.keys[id], opening, 0).Err(); err != nil {
			return nil, errors.Join(err, d.client.Close())
		}
	}
	return d, decrementScript.Load(ctx, d.client).Err()
}

func (d *decrement) reserve(ctx context.Context, next cart) func(*worker) error {
	return func(w *worker) error {
		lines := next(w)
		taken, err := decrementScript.EvalSha(ctx, d.client, []string{d.keys[lines[0].ProductID]}, lines[0].Quantity).Int()
		if err == nil && taken != 1 {
			err = fmt.Errorf("%s: not enough of %s", d.name, lines[0].ProductID)
		}
		if err == nil {
			w.take(lines)
		}
		return err
	}
}

func (d *decrement) audit(ctx context.Context, total measure) error {
	sold := 0
	for _, key := range d.keys {
		left, err := d.client.Get(ctx, key).Int()
		if err != nil {
			return err
		}
		sold += opening - left
	}
	if sold != total.Units {
		return fmt.Errorf("%s: audit: %d units sold, want %d", d.name, sold, total.Units)
	}
	return nil
}
