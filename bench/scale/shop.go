package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"onhand/bench/fixture"
	"onhand/bench/floors"
	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

// shop is a database with products, and the instances over it.
type shop struct {
	url       string
	admin     *pgx.Conn
	redis     *redis.Client
	instances []*testbed.Program
	baskets   []loadgen.Basket
}

// openShop makes a database with so many products, empties Redis, and starts so many instances.
func (c *scaleCommand) openShop(ctx context.Context, products, instances int) (_ *shop, err error) {
	c.databases++
	s := &shop{}
	if s.url, s.admin, err = c.servers.Database(ctx, "scale"+strconv.Itoa(c.databases)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	redisURL := c.servers.Redis.URL()
	if s.redis, err = floors.Client(redisURL); err != nil {
		return nil, err
	}
	if err = s.redis.FlushAll(ctx).Err(); err != nil {
		return nil, err
	}
	if err = testbed.Migrate(ctx, c.program("onhand"), s.url, redisURL); err != nil {
		return nil, err
	}
	if err = fixture.FillShop(ctx, s.admin, products); err != nil {
		return nil, err
	}
	var ids []string
	for i := range products {
		ids = append(ids, fixture.ShopProduct(i))
	}
	s.baskets = loadgen.Single(ids)
	for range instances {
		instance, err := testbed.StartProgram(ctx, c.program("onhand"), s.url, redisURL)
		if err != nil {
			return nil, err
		}
		s.instances = append(s.instances, instance)
	}
	return s, nil
}

// addresses are those of the instances.
func (s *shop) addresses() (list []string) {
	for _, instance := range s.instances {
		list = append(list, instance.Address)
	}
	return list
}

// failure is why an instance ended; nil while all run.
func (s *shop) failure() (err error) {
	for _, instance := range s.instances {
		err = errors.Join(err, instance.Failure())
	}
	return err
}

func (s *shop) close(ctx context.Context) error {
	var errs []error
	for _, instance := range s.instances {
		errs = append(errs, instance.Stop())
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	return errors.Join(append(errs, s.admin.Close(context.WithoutCancel(ctx)))...)
}
