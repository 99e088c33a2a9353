package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"time"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

const (
	// balancedMax bounds the wait until haproxy has found all instances.
	balancedMax = 20 * time.Second
	// keyPrefix makes idempotency keys as long as those of a caller without a token must be.
	keyPrefix = "bench-topology-of-instances"
	// configuration is that of haproxy, from the root of the repository.
	configuration = "deploy/haproxy/haproxy.cfg"
	// secret signs tokens; callers have none.
	secret = "the secret of a benchmark, 32 bytes at least"
)

// settings lift the bounds on one caller: the load generator is one.
var settings = []string{
	"AUTH_SECRET=" + secret, "ADMIN_ADDR=off", "TRUSTED_PROXIES=127.0.0.1", "HOLDER_LIMITS=off",
	"RATE_READS=off", "RATE_WRITES=off", "RATE_SUBSCRIPTIONS=off", "RATE_DOCUMENTS=off", "RATE_TOKENS=off",
}

// bed is what all turns share.
type bed struct {
	command *command
	servers *testbed.Servers
	url     string
	proxy   string // the path of haproxy
}

// fill makes the database and its tables.
func (b *bed) fill(ctx context.Context) error {
	url, admin, err := b.servers.Database(ctx, "topology")
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close(ctx) }() // the server ends too
	b.url = url
	if err := testbed.Migrate(ctx, b.command.Server, url, b.servers.Redis.URL()); err != nil {
		return err
	}
	return fixture.FillShop(ctx, admin, products)
}

// measure starts a topology, measures one turn, and stops it.
func (b *bed) measure(ctx context.Context, top topology, w workload) (_ turn, err error) {
	var addresses []string
	for range top.instances {
		i, err := testbed.StartProgram(ctx, b.command.Server, b.url, b.servers.Redis.URL(), settings...)
		if err != nil {
			return turn{}, err
		}
		defer func() { err = errors.Join(err, i.Stop()) }()
		addresses = append(addresses, i.Address)
	}
	address := addresses[0]
	if top.balanced {
		var end func()
		if address, end, err = b.balance(ctx, addresses); err != nil {
			return turn{}, err
		}
		defer end()
	}
	call, closeAll, err := w.dial(address, b.command.Callers)
	if err != nil {
		return turn{}, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	before := testbed.CPUTimes()
	m, err := loadgen.Run(loadgen.Params{Callers: b.command.Callers, Warm: b.command.Warm, Length: b.command.Length}, keyPrefix, call)
	return turn{m, testbed.PerCall(before, testbed.CPUTimes(), m.Acknowledged)}, err
}

// errNotReady is why haproxy that answers cannot be used.
var errNotReady = errors.New("/readyz does not answer 200")

// balance starts haproxy, and waits until /readyz answers 200 once, and then for 2 s: by then it has checked every instance.
func (b *bed) balance(ctx context.Context, addresses []string) (address string, end func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = listener.Addr().String()
	if err := listener.Close(); err != nil {
		return "", nil, err
	}
	haproxy := exec.CommandContext(ctx, b.proxy, "-db", "-q", "-f", configuration)
	haproxy.Env = []string{"ONHAND_BIND=" + address}
	for n, instance := range addresses {
		haproxy.Env = append(haproxy.Env, fmt.Sprintf("ONHAND_%d=%s", n+1, instance))
	}
	if len(addresses) == 1 { // the configuration has two: this one takes the same twice
		haproxy.Env = append(haproxy.Env, "ONHAND_2="+addresses[0])
	}
	if err := haproxy.Start(); err != nil {
		return "", nil, fmt.Errorf("haproxy: %w", err)
	}
	end = func() { _ = haproxy.Process.Kill(); _ = haproxy.Wait() }
	for deadline := time.Now().Add(balancedMax); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			_ = response.Body.Close() // only the status counts
			if response.StatusCode == http.StatusOK {
				time.Sleep(2 * time.Second) // it has checked every instance twice (inter, rise)
				return address, end, nil
			}
		}
		if time.Now().After(deadline) {
			end()
			return "", nil, fmt.Errorf("haproxy has no instance after %s: %w", balancedMax, cmp.Or(err, errNotReady))
		}
	}
}

// pageDocument is what a list page asks for.
const pageDocument = `query($ids: [ID!]!) { stocks(productIds: $ids) { productId quantityAvailable version } }`

var noFaults = []byte(`"errors"`)

// dialPages has each caller read pages of its own.
func dialPages(address string, callers int) (func(*loadgen.Worker) error, func() error, error) {
	var list []*loadgen.Requester
	closeAll := func() (err error) {
		for _, r := range list {
			err = errors.Join(err, r.Close())
		}
		return err
	}
	var requests [][]byte
	for n := range callers {
		r, err := loadgen.DialRequester(address)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		list = append(list, r)
		var ids []string
		for i := range pageProducts {
			ids = append(ids, fixture.ShopProduct((n*pageProducts+i)%products))
		}
		body, _ := json.Marshal(map[string]any{"query": pageDocument, "variables": map[string]any{"ids": ids}}) // cannot fail
		requests = append(requests, r.AppendRequest(nil, body))
	}
	return func(w *loadgen.Worker) error {
		answer, err := list[w.Number].Do(requests[w.Number])
		if err == nil && bytes.Contains(answer, noFaults) {
			err = fmt.Errorf("no page: %.200s", answer)
		}
		return err
	}, closeAll, nil
}

// dialReservations has all callers reserve one product.
func dialReservations(address string, callers int) (func(*loadgen.Worker) error, func() error, error) {
	pool, err := loadgen.DialPool([]string{address}, callers)
	if err != nil {
		return nil, nil, err
	}
	return pool.Reserve(loadgen.Single([]string{fixture.ShopProduct(0)})), pool.Close, nil
}
