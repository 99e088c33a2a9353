package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// The documents of customers. Each mutation is called answer, so that one type reads them all.
const (
	refusals = `errors { __typename ... on UserError { message path } ... on InsufficientStockError { productId requested available }
		... on ReservationNotActiveError { state } ... on IdempotencyError { code } }`
	payload = `{ reservation { id state expiresAt } replayed ` + refusals + ` }`

	reserveDocument = `mutation Reserve($input: ReserveStockInput!) { answer: reserveStock(input: $input) ` + payload + ` }`
	commitDocument  = `mutation Commit($input: CommitReservationInput!) { answer: commitReservation(input: $input) ` + payload + ` }`
	releaseDocument = `mutation Release($input: ReleaseReservationInput!) { answer: releaseReservation(input: $input) ` + payload + ` }`
	extendDocument  = `mutation Extend($input: ExtendReservationInput!) { answer: extendReservation(input: $input) ` + payload + ` }`

	// No version is that high: the database is read, whatever Redis says, by a SELECT that starts after the request came.
	primaryDocument = `query Primary($id: ID!) { stock(productId: $id, minVersion: 9007199254740991) {
		version available: quantityAvailable reserved committed source } }`
)

const (
	stateReleased = "RELEASED"
	stateExpired  = "EXPIRED"
)

// answer is what any of the mutations says.
type answer struct {
	Reservation *struct {
		ID, State string
		ExpiresAt time.Time
	}
	Replayed bool
	Errors   []struct {
		Typename  string `json:"__typename"`
		Message   string
		Path      []string
		ProductID string
		Requested int
		Available int
		State     string
		Code      string
	}
}

// id is the reservation's, empty without one.
func (a answer) id() string {
	if a.Reservation == nil {
		return ""
	}
	return a.Reservation.ID
}

// essence is what a repeat of the same key must say again: not the state, which is told as it is now.
func (a answer) essence() string {
	raw, _ := json.Marshal(a.Errors) // plain structs; cannot fail
	return a.id() + " " + string(raw)
}

// customer shops: holds carts, and orders or gives them back, one thing after the other.
type customer struct {
	number  int
	scene   *Scene
	load    *Load
	dice    *rand.Rand
	nearest int // the copy asked first
	keys    int
}

// Customer is one more, outside of any load, for a scenario to send where it likes; it asks the copy of that number first.
func (s *Scene) Customer(at int) *customer {
	s.customers++
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	return &customer{number: s.customers, scene: s, nearest: at, load: &Load{scene: s, patience: ctx}, dice: chance(s.t, "customer "+strconv.Itoa(s.customers))}
}

// live follows a habit until ctx ends; what was begun then is finished.
func (c *customer) live(ctx context.Context, habit func(*customer, context.Context)) {
	for ctx.Err() == nil {
		habit(c, ctx)
		c.load.ticked()
		c.think(ctx, time.Duration(c.dice.Int64N(int64(c.scene.plan.Think)*2)+1))
	}
}

func (c *customer) think(ctx context.Context, length time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
}

// shop is the usual habit: to look at a product, or to fill a cart and decide what becomes of it.
func (c *customer) shop(context.Context) {
	if c.dice.IntN(4) == 0 {
		c.read(c.product())
	} else {
		c.cart()
	}
}

func (c *customer) product() string { return c.scene.products[c.dice.IntN(len(c.scene.products))] }

// cart holds one or two products and decides what becomes of them.
func (c *customer) cart() {
	lines := map[string]int{c.product(): 1 + c.dice.IntN(3)}
	if c.dice.IntN(3) == 0 {
		lines[c.product()] = 1 + c.dice.IntN(2)
	}
	ttl := ttlLong
	leaves := c.dice.IntN(6) == 0
	if leaves && c.scene.plan.Walkaways {
		ttl = ttlShort
	}
	made := c.hold(lines, ttl)
	if made.ID == "" || leaves { // walks away; a short hold expires
		return
	}
	if c.dice.IntN(4) == 0 && !c.resolve(Extend, made) {
		return
	}
	if c.dice.IntN(3) == 0 {
		c.resolve(Commit, made)
	} else {
		c.resolve(Release, made)
	}
}

// hold places a hold; without an id it was not made, or nobody knows.
func (c *customer) hold(lines map[string]int, ttl time.Duration) Made {
	made := c.scene.History.NewHold(lines)
	o := Operation{Customer: c.number, Kind: Hold, Lines: lines, Hold: made.Number}
	list := make([]map[string]any, 0, len(lines))
	for product, units := range lines {
		list = append(list, map[string]any{"productId": product, "quantity": units})
	}
	input := map[string]any{"idempotencyKey": c.key(), "lines": list, "ttlSeconds": int(ttl.Seconds()), "ownerRef": made.owner()}
	a, definite := c.settle(&o, reserveDocument, input)
	if !definite {
		c.scene.History.Record(o)
		return made
	}
	if a.Reservation != nil {
		made.ID, made.Ends = a.Reservation.ID, a.Reservation.ExpiresAt
	}
	o.Done = a.Reservation != nil && len(a.Errors) == 0
	o.Short = map[string]int{}
	for _, refusal := range a.Errors {
		if refusal.Typename != "InsufficientStockError" {
			c.scene.wrong("hold %v: %s: %s", lines, refusal.Typename, refusal.Message)
		}
		o.Short[refusal.ProductID] = refusal.Available
	}
	c.scene.History.Record(o)
	return made
}

// resolve commits, releases or extends a hold, and tells whether that was done.
func (c *customer) resolve(kind Kind, made Made) bool {
	o := Operation{Customer: c.number, Kind: kind, Hold: made.Number, Lines: made.Lines}
	input := map[string]any{"id": made.ID}
	document := releaseDocument
	switch kind {
	case Commit:
		document, input["idempotencyKey"] = commitDocument, c.key()
	case Extend:
		document, input["ttlSeconds"] = extendDocument, int(ttlLong.Seconds())
	}
	a, definite := c.settle(&o, document, input)
	if definite {
		o.Done = len(a.Errors) == 0 // a release that is repeated is told as done
		for _, refusal := range a.Errors {
			if refusal.Typename != "ReservationNotActiveError" {
				c.scene.wrong("%s %s: %s: %s", kind, made.ID, refusal.Typename, refusal.Message)
			}
			o.State = refusal.State
		}
	}
	c.scene.History.Record(o)
	return o.Done
}

// read asks the primary. It changes nothing, so that only the attempt that was answered counts.
func (c *customer) read(product string) {
	var data struct {
		Stock *struct {
			Shelf
			Source string
		}
	}
	o := Operation{Customer: c.number, Kind: Read}
	asked := func(ctx context.Context, url string) error {
		o.Call = c.scene.History.Now()
		return c.scene.client.Ask(ctx, url, primaryDocument, map[string]any{"id": product}, &data)
	}
	if !c.insist(asked) {
		return
	}
	o.Return = c.scene.History.Now()
	if data.Stock == nil || data.Stock.Source != "DATABASE" {
		c.scene.wrong("a read of %s on the primary was answered by %+v", product, data.Stock)
		return
	}
	o.Done, o.Seen = true, map[string]Shelf{product: data.Stock.Shelf}
	c.scene.History.Record(o)
}

// settle sends the same write until there is a definite answer, over all copies, and times it. A key is promised the
// same answer for ever.
func (c *customer) settle(o *Operation, document string, input map[string]any) (answer, bool) {
	var data struct{ Answer answer }
	o.Call = c.scene.History.Now()
	definite := c.insist(func(ctx context.Context, url string) error {
		data.Answer = answer{}
		return c.scene.client.Ask(ctx, url, document, map[string]any{"input": input}, &data)
	})
	if !definite {
		o.Return = never
		return answer{}, false
	}
	o.Return = c.scene.History.Now()
	if _, keyed := input["idempotencyKey"]; keyed {
		c.scene.History.Promised(Promise{document, input, data.Answer.essence()})
	}
	return data.Answer, true
}

// insist asks one copy after the other until one answers, patience is over, or the scenario gives up.
func (c *customer) insist(ask func(ctx context.Context, url string) error) bool {
	ctx, cancel := context.WithTimeout(c.load.patience, patience)
	defer cancel()
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		err := ask(ctx, c.scene.Copies[(c.nearest+n)%len(c.scene.Copies)].URL())
		c.load.attempted(time.Since(began))
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			break
		}
		c.load.Codes.add(err)
		pause(ctx, c.dice, n)
	}
	return false
}

// key is one that a run with the same seed gives to the same thing.
func (c *customer) key() string {
	c.keys++
	return fmt.Sprintf("%s-%d-%d", c.scene.name, c.number, c.keys)
}
