package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/results"
	"onhand/bench/testbed"
	"onhand/store/storetest"
)

const (
	// pageProducts is how many products or movements a page has.
	pageProducts = 20
	// differentPages is how many different pages a turn asks for.
	differentPages = 100
	// listCallers is how many callers read lists at a time.
	listCallers = 16
	// replicaMax bounds the wait until an instance uses its read replica.
	replicaMax = 30 * time.Second
	// replicaReadsMetric counts the reads that a read replica has answered, by its host.
	replicaReadsMetric = "onhand_replica_reads_total"
)

const (
	stockDocument    = `query($ids: [ID!]!) { stocks(productIds: $ids) { productId quantityAvailable version } }`
	productsDocument = `query($after: String) { products(first: 20, after: $after) {
		nodes { stock { productId quantityAvailable version } } pageInfo { endCursor } } }`
	searchDocument = `query($search: String) { products(first: 20, filter: {search: $search}) {
		nodes { stock { productId quantityAvailable version } } } }`
	movementsDocument = `query($after: String) { stockMovements(first: 20, after: $after) {
		nodes { productId reason createdAt changes { state delta } } pageInfo { endCursor } } }`
)

// request is the body of a request.
func request(document string, variables map[string]any) []byte {
	body, _ := json.Marshal(map[string]any{"query": document, "variables": variables}) // plain values; cannot fail
	return body
}

// stockPages are requests for the stock of any products; the same in every run.
func (s *shop) stockPages() (bodies [][]byte) {
	rng := rand.New(rand.NewPCG(20, 16))
	for range differentPages * 5 {
		var ids []string
		for _, n := range rng.Perm(s.products)[:min(pageProducts, s.products)] {
			ids = append(ids, fixture.ShopProduct(n))
		}
		bodies = append(bodies, request(stockDocument, map[string]any{"ids": ids}))
	}
	return bodies
}

// searches are requests for the products with some digits in their id.
func searches() (bodies [][]byte) {
	for n := range differentPages {
		bodies = append(bodies, request(searchDocument, map[string]any{"search": fmt.Sprintf("%03d", n*7)}))
	}
	return bodies
}

// listPages are requests for the pages of a list, which it walks through.
func listPages(address, document string) (bodies [][]byte, err error) {
	client, err := loadgen.DialRequester(address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	variables := map[string]any{}
	for range differentPages {
		body := request(document, variables)
		bodies = append(bodies, body)
		answer, err := client.Do(client.AppendRequest(nil, body))
		if err != nil {
			return nil, err
		}
		var read struct {
			Data map[string]struct{ PageInfo struct{ EndCursor string } }
		}
		if err := json.Unmarshal(answer, &read); err != nil {
			return nil, err
		}
		variables = map[string]any{}
		for _, list := range read.Data {
			if list.PageInfo.EndCursor != "" { // an empty page has none: the walk begins again
				variables["after"] = list.PageInfo.EndCursor
			}
		}
	}
	return bodies, nil
}

var dataBegins, hasErrors = []byte(`{"data":{`), []byte(`"errors":[`)

// ask measures requests with these bodies, each as likely as the others.
func (w way) ask(ctx context.Context, l load, bodies [][]byte) (_ figures, err error) {
	var clients []*loadgen.Requester
	defer func() {
		for _, client := range clients {
			err = errors.Join(err, client.Close())
		}
	}()
	var draws []*rand.Rand
	for n := range l.callers {
		client, err := loadgen.DialRequester(w.called[n%len(w.called)])
		if err != nil {
			return nil, err
		}
		clients, draws = append(clients, client), append(draws, rand.New(rand.NewPCG(uint64(n), 16)))
	}
	requests := make([][]byte, l.callers)
	replied, err := w.repliedByReplica(ctx)
	if err != nil {
		return nil, err
	}
	m, err := w.turn(ctx, l, func(worker *loadgen.Worker) error {
		n := worker.Number
		requests[n] = clients[n].AppendRequest(requests[n][:0], bodies[draws[n].IntN(len(bodies))])
		answer, err := clients[n].Do(requests[n])
		if err == nil && (!bytes.HasPrefix(answer, dataBegins) || bytes.Contains(answer, hasErrors)) {
			err = fmt.Errorf("no page: %.200s", answer)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	after, err := w.repliedByReplica(ctx)
	m.figures[columnReplied] = 100 * (after - replied) / float64(max(m.all, 1))
	return m.figures, err
}

// repliedByReplica is how many reads a replica has answered for the instances so far.
func (w way) repliedByReplica(ctx context.Context) (sum float64, err error) {
	if w.replica == nil {
		return 0, nil
	}
	for _, instance := range w.spend {
		text, err := get(ctx, "http://"+instance.Address+"/metrics")
		if err != nil {
			return 0, err
		}
		replied, err := replicaReads(text)
		if err != nil {
			return 0, err
		}
		sum += replied
	}
	return sum, nil
}

// replicaReads is the sum of the counter of all hosts in the metrics of an instance: 0 where it uses no replica.
func replicaReads(metrics string) (sum float64, err error) {
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, replicaReadsMetric+"{") {
			continue
		}
		line = strings.TrimSpace(line)
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", replicaReadsMetric, err)
		}
		sum += value
	}
	return sum, nil
}

// only calls one instance of the shop.
func (s *shop) only(number int, name string) way {
	return way{shop: s, name: name, called: []string{s.instances[number].Address}, spend: s.instances[number : number+1]}
}

// readReplica compares pages that the primary answers with those from a read replica.
func (c *scaleCommand) readReplica(ctx context.Context) (_ *results.Growth, err error) {
	t := c.compare("pages")
	defer func() { err = errors.Join(err, t.close()) }()
	s, err := t.open(ctx, shopParams{products: spreadProducts, instances: 1})
	if err != nil {
		return t.Growth, err
	}
	from, err := c.replicated(ctx, s)
	if err != nil {
		return t.Growth, err
	}
	lists, err := listPages(s.instances[0].Address, productsDocument)
	if err != nil {
		return t.Growth, err
	}
	movements, err := listPages(s.instances[0].Address, movementsDocument)
	if err != nil {
		return t.Growth, err
	}
	for _, one := range []struct {
		name   string
		bodies [][]byte
	}{{"of all products", lists}, {"of a search", searches()}, {"of the ledger", movements}} {
		primary := s.only(0, one.name+", from the primary")
		primary.replica = from.replica // its CPU time is a figure of both
		replica := from.named(one.name + ", from the replica")
		err := t.measure(ctx, []way{primary, replica}, func(ctx context.Context, w way) (figures, error) {
			if err := s.awaitReplica(ctx, s.instances[1]); err != nil { // the turn before may have left it behind
				return nil, err
			}
			f, err := w.ask(ctx, t.load(listCallers, 0), one.bodies)
			if err == nil && w.name == replica.name && f[columnReplied] == 0 {
				err = errors.New("the replica has answered no page")
			}
			return f, err
		})
		if err != nil {
			return t.Growth, err
		}
	}
	return t.Growth, nil
}

// replicated starts a read replica, and one more instance of the shop, which uses it.
func (c *scaleCommand) replicated(ctx context.Context, s *shop) (w way, err error) {
	replica, err := storetest.StartReplica(ctx, c.servers.Postgres)
	if err != nil {
		return w, err
	}
	s.atEnd(replica.Close)
	if err := s.start(ctx, s.readFrom(replica)); err != nil {
		return w, err
	}
	last := len(s.instances) - 1
	w = s.only(last, "")
	w.replica = replica
	return w, s.awaitReplica(ctx, s.instances[last])
}

// awaitReplica waits until an instance uses its read replica.
func (s *shop) awaitReplica(ctx context.Context, instance *testbed.Program) error {
	for deadline := time.Now().Add(replicaMax); ; time.Sleep(50 * time.Millisecond) {
		answer, err := get(ctx, "http://"+instance.Address+"/readyz")
		switch {
		case strings.Contains(answer, `"replica":"up"`):
			return nil
		case ctx.Err() != nil || time.Now().After(deadline):
			return errors.Join(fmt.Errorf("the read replica is not used after %s: %s", replicaMax, answer), err, instance.Failure())
		}
	}
}
