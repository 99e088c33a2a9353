package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/bench/loadgen"
	"onhand/bench/testbed"
	"onhand/store/storetest"
)

const (
	// openingStock is the stock of every product: more than a run can sell.
	openingStock = 100_000_000
	// perOwnerMax is a limit that no basket exceeds.
	perOwnerMax = 1_000_000
	// rowsMax is how many rows one call stocks.
	rowsMax = 500
	// stockMax bounds one such call.
	stockMax = 30 * time.Second
	// warehouse is the one location.
	warehouse = "warehouse"
)

// build is one build of the server with its processes, its database and its Redis.
type build struct {
	name, program string
	// perOwner: each reservation has another owner, and the products a limit for each.
	perOwner bool

	redis        *storetest.RedisServer
	admin        *pgx.Conn
	instances    []*testbed.Program
	pool         loadgen.Pool
	baskets      []loadgen.Basket
	acknowledged int
}

// open starts the processes and stocks the products.
func (b *build) open(ctx context.Context, servers *testbed.Servers, instances, connections int, baskets loadgen.Baskets) (err error) {
	b.baskets = baskets.List
	if b.redis, err = storetest.StartRedis(); err != nil {
		return err
	}
	url, admin, err := servers.Database(ctx, "build_"+strings.ReplaceAll(b.name, " ", "_"))
	if err != nil {
		return err
	}
	b.admin = admin
	var addresses []string
	for range instances {
		started, err := testbed.StartProgram(ctx, b.program, url, b.redis.URL())
		if err != nil {
			return err
		}
		b.instances = append(b.instances, started)
		addresses = append(addresses, started.Address)
	}
	if err := b.stock(ctx, baskets.Products); err != nil {
		return err
	}
	if err := b.vacuum(ctx); err != nil {
		return err
	}
	b.pool, err = loadgen.DialPool(addresses, connections)
	return err
}

func (b *build) vacuum(ctx context.Context) error {
	_, err := b.admin.Exec(ctx, "VACUUM ANALYZE")
	return err
}

// stock makes the products with their opening stock, through the API.
func (b *build) stock(ctx context.Context, products []string) error {
	err := b.write(ctx, "upsertLocations", "UpsertLocationsInput", map[string]any{
		"idempotencyKey": "location", "rows": []map[string]any{{"locationId": warehouse, "name": "Warehouse"}},
	})
	if err != nil {
		return err
	}
	number := 0
	for some := range slices.Chunk(products, rowsMax) {
		number++
		var rows, levels []map[string]any
		for _, id := range some {
			row := map[string]any{"productId": id}
			if b.perOwner {
				row["maxPerOwner"] = perOwnerMax
			}
			rows = append(rows, row)
			levels = append(levels, map[string]any{"productId": id, "locationId": warehouse, "quantity": openingStock, "ignoreStale": true})
		}
		err := b.write(ctx, "upsertProducts", "UpsertProductsInput", map[string]any{"idempotencyKey": fmt.Sprint("products ", number), "rows": rows})
		if err == nil {
			err = b.write(ctx, "setStock", "SetStockInput", map[string]any{"idempotencyKey": fmt.Sprint("stock ", number), "reason": "CYCLE_COUNT", "rows": levels})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write sends one mutation that must succeed.
func (b *build) write(ctx context.Context, mutation, kind string, input map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, stockMax)
	defer cancel()
	body, err := json.Marshal(map[string]any{
		"query":     "mutation($input: " + kind + "!) { answer: " + mutation + "(input: $input) { errors { __typename ... on UserError { message path } } } }",
		"variables": map[string]any{"input": input},
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.instances[0].Address+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	var answer struct {
		Data   struct{ Answer struct{ Errors []any } }
		Errors []any
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %s: %w", mutation, response.Status, err)
	}
	if failures := append(answer.Errors, answer.Data.Answer.Errors...); len(failures) > 0 {
		return fmt.Errorf("%s: %v", mutation, failures[0])
	}
	return nil
}

// figures are those of one turn.
type figures struct{ perSecond, p99Millis, cpuMicros float64 }

// turn measures the build once. CPU time is that of all servers, without the load generator.
func (b *build) turn(load loadgen.Params) (figures, error) {
	began := testbed.CPUTimes()
	reserve := b.pool.Reserve
	if b.perOwner {
		reserve = b.pool.ReserveForOwners
	}
	m, err := loadgen.Run(load, "alternate", reserve(b.baskets))
	spent := testbed.CPUTimes().Children() - began.Children()
	b.acknowledged += m.Acknowledged
	for _, i := range b.instances {
		err = errors.Join(err, i.Failure())
	}
	return figures{m.PerSecond, m.P99.Seconds() * 1000, float64(spent.Microseconds()) / float64(max(m.Acknowledged, 1))}, err
}

// audit compares what was acknowledged with the database.
func (b *build) audit(ctx context.Context) error {
	var found int
	if err := b.admin.QueryRow(ctx, "SELECT count(*) FROM reservations").Scan(&found); err != nil {
		return err
	}
	if found != b.acknowledged {
		return fmt.Errorf("audit: %d reservations, want %d", found, b.acknowledged)
	}
	return nil
}

// close ends everything that open started.
func (b *build) close(ctx context.Context) error {
	errs := []error{b.pool.Close()}
	for _, i := range b.instances {
		errs = append(errs, i.Stop())
	}
	if b.admin != nil {
		errs = append(errs, b.admin.Close(ctx))
	}
	if b.redis != nil {
		errs = append(errs, b.redis.Close())
	}
	return errors.Join(errs...)
}
