package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"onhand/faults/chance"
	"onhand/faults/model"
)

// RetryLimit bounds all attempts of one operation. It is longer than any fault of a scenario.
const RetryLimit = 40 * time.Second

// Habit is what a customer does again and again.
type Habit func(c *Customer, ctx context.Context)

// Customer does one operation after the other, and records them.
type Customer struct {
	// Target is the shop.
	Target *Target
	// Dice are its random choices.
	Dice *rand.Rand

	number   int
	load     *Load
	instance int // the number of the instance that it asks first
	keys     int
}

// NewCustomer is one more customer, outside of any load, for a scenario to direct. It asks the instance of that number
// first.
func NewCustomer(target *Target, instance int) *Customer {
	retry, cancel := context.WithCancel(context.Background())
	target.T.Cleanup(cancel)
	return newCustomer(&Load{target: target, retry: retry}, instance)
}

func newCustomer(l *Load, instance int) *Customer {
	number := l.target.nextCustomer()
	return &Customer{
		Target: l.target, Dice: chance.New(l.target.T, "customer "+strconv.Itoa(number)),
		number: number, load: l, instance: instance,
	}
}

// run follows a habit until ctx ends. The operation in flight is finished.
func (c *Customer) run(ctx context.Context, habit Habit) {
	for ctx.Err() == nil {
		habit(c, ctx)
		c.load.done.Add(1)
		sleep(ctx, time.Duration(c.Dice.Int64N(int64(c.Target.ThinkTime)*2)+1))
	}
}

// Pause waits for a time, or until the load ends.
func (c *Customer) Pause(ctx context.Context, length time.Duration) { sleep(ctx, length) }

// Product draws one of the products.
func (c *Customer) Product() string { return c.Target.Products[c.Dice.IntN(len(c.Target.Products))] }

// Shopping is the usual habit: to read a product, or to reserve a cart and decide what becomes of it; now and then, of
// the limited product.
func Shopping(c *Customer, _ context.Context) {
	if c.Dice.IntN(4) == 0 {
		c.Read(c.Product())
		return
	}
	if c.Dice.IntN(8) == 0 {
		c.reserveLimited()
		return
	}
	lines := map[string]int{c.Product(): 1 + c.Dice.IntN(3)}
	if c.Dice.IntN(3) == 0 {
		lines[c.Product()] = 1 + c.Dice.IntN(2)
	}
	ttl := LongTTL
	leaves := c.Dice.IntN(6) == 0
	if leaves && c.Target.ShortReservations {
		ttl = ShortTTL
	}
	cart := c.Reserve(lines, ttl)
	if cart.ID == "" || leaves {
		return
	}
	if c.Dice.IntN(4) == 0 && !c.Resolve(model.Extend, cart) {
		return
	}
	if c.Dice.IntN(3) == 0 {
		c.Resolve(model.Commit, cart)
	} else {
		c.Resolve(model.Release, cart)
	}
}

// Reserve reserves a cart. Without an ID it was refused, or that is not known.
func (c *Customer) Reserve(lines map[string]int, ttl time.Duration) model.Cart {
	cart := c.Target.History.NewCart(lines)
	o := model.Operation{Customer: c.number, Kind: model.Reserve, Lines: lines, Cart: cart.Number}
	list := make([]map[string]any, 0, len(lines))
	for product, units := range lines {
		list = append(list, map[string]any{"productId": product, "quantity": units})
	}
	a, definite := c.write(&o, ReserveDocument, map[string]any{
		"idempotencyKey": c.key(), "lines": list, "ttlSeconds": int(ttl.Seconds()), "ownerRef": cart.Owner(),
	})
	if !definite {
		c.Target.History.Record(o)
		return cart
	}
	if a.Reservation != nil {
		cart.ID, cart.ExpiresAt = a.Reservation.ID, a.Reservation.ExpiresAt
	}
	o.Done = a.Reservation != nil && a.Done()
	o.Short = map[string]int{}
	for _, refusal := range a.Errors {
		if a.Replayed && refusal.Typename == notActive {
			continue // an earlier attempt has reserved it, and its time is over by now
		}
		if refusal.Typename != insufficient {
			c.Target.errorf("reserve %v: %s: %s", lines, refusal.Typename, refusal.Message)
		}
		o.Short[refusal.ProductID] = refusal.Available
	}
	c.Target.History.Record(o)
	return cart
}

// Resolve commits, releases or extends a cart, and reports whether that was done.
func (c *Customer) Resolve(kind model.Kind, cart model.Cart) bool {
	o := model.Operation{Customer: c.number, Kind: kind, Cart: cart.Number, Lines: cart.Lines}
	input := map[string]any{"id": cart.ID}
	document := releaseDocument
	switch kind {
	case model.Commit:
		document, input["idempotencyKey"] = commitDocument, c.key()
	case model.Extend:
		document, input["ttlSeconds"] = extendDocument, int(LongTTL.Seconds())
	}
	a, definite := c.write(&o, document, input)
	if definite {
		o.Done = a.Done() // a repeated release is answered as done
		for _, refusal := range a.Errors {
			if refusal.Typename != notActive {
				c.Target.errorf("%s %s: %s: %s", kind, cart.ID, refusal.Typename, refusal.Message)
			}
			o.State = refusal.State
		}
	}
	c.Target.History.Record(o)
	return o.Done
}

// Read reads a product on the primary. It changes nothing, so only the attempt that was answered counts.
func (c *Customer) Read(product string) {
	var data struct {
		Stock *struct {
			model.StateCounts
			Source string
		}
	}
	o := model.Operation{Customer: c.number, Kind: model.Read}
	answered := c.retry(func(ctx context.Context, url string) error {
		o.Call = c.Target.History.Now()
		return c.Target.Client.Ask(ctx, url, PrimaryDocument, map[string]any{"id": product}, &data)
	})
	if !answered {
		return
	}
	o.Return = c.Target.History.Now()
	if data.Stock == nil || data.Stock.Source != "DATABASE" {
		c.Target.errorf("a read of %s on the primary was answered by %+v", product, data.Stock)
		return
	}
	o.Done, o.Seen = true, map[string]model.StateCounts{product: data.Stock.StateCounts}
	c.Target.History.Record(o)
}

// write sends the same write, over all instances, until there is a definite answer, and times it. A shortage after an
// attempt without an answer is none: the key is free, and that attempt may still be on its way.
func (c *Customer) write(o *model.Operation, document string, input map[string]any) (a WriteAnswer, definite bool) {
	var data WriteData
	attempts := 0
	o.Call = c.Target.History.Now()
	definite = c.retry(func(ctx context.Context, url string) error {
		data = WriteData{}
		attempts++
		return c.Target.Client.Ask(ctx, url, document, map[string]any{"input": input}, &data)
	})
	short := slices.ContainsFunc(data.Answer.Errors, func(e WriteError) bool { return e.Typename == insufficient })
	if !definite || attempts > 1 && short {
		o.Return, o.GaveUp = model.Never, !definite
		return WriteAnswer{}, false
	}
	o.Return = c.Target.History.Now()
	if _, keyed := input["idempotencyKey"]; keyed {
		c.Target.History.Acknowledge(model.Acknowledged{
			Document: document, Input: input, Done: data.Answer.Done(), Answer: data.Answer.Repeatable(),
		})
	}
	return data.Answer, true
}

// retry asks one instance after the other until one answers, RetryLimit is over, or the scenario ends.
func (c *Customer) retry(ask func(ctx context.Context, url string) error) bool {
	ctx, cancel := context.WithTimeout(c.load.retry, RetryLimit)
	defer cancel()
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		err := ask(ctx, c.Target.url(c.instance+n))
		c.load.attempted(time.Since(began))
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			break
		}
		c.load.Attempts.add(err)
		pause(ctx, c.Dice, n)
	}
	return false
}

// key is an idempotency key. A run with the same seed gives the same key to the same operation.
func (c *Customer) key() string {
	c.keys++
	return fmt.Sprintf("%s-%d-%d", c.Target.Name, c.number, c.keys)
}
