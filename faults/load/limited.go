package load

import (
	"context"
	"fmt"
)

const (
	// LimitedProduct is a product with a limit for each owner. It is not one of [Target.Products].
	LimitedProduct = "ticket"
	// LimitedPerOwner is that limit, in units.
	LimitedPerOwner = 4
	// keysOfOwner is how many operations a customer begins until it reserves for the next owner. All customers begin with
	// the same owner and are about as fast, so several reserve for one owner at once.
	keysOfOwner = 20
)

// reserveLimited reserves the limited product for an owner whom other customers reserve for too. It is in no history:
// what an owner has is checked in the database.
func (c *Customer) reserveLimited() {
	input := map[string]any{
		"ownerRef": fmt.Sprintf("owner-%d", c.keys/keysOfOwner), "idempotencyKey": c.key(), "ttlSeconds": int(LongTTL.Seconds()),
		"lines": []map[string]any{{"productId": LimitedProduct, "quantity": 1 + c.Dice.IntN(2)}},
	}
	a, answered := c.ask(ReserveDocument, input)
	for _, refusal := range a.Errors {
		if refusal.Typename != limitExceeded {
			c.Target.errorf("reserve %s: %s: %s", LimitedProduct, refusal.Typename, refusal.Message)
		}
	}
	if !answered || a.ID() == "" {
		return
	}
	switch c.Dice.IntN(3) {
	case 0:
		c.ask(commitDocument, map[string]any{"id": a.ID(), "idempotencyKey": c.key()})
	case 1:
		c.ask(releaseDocument, map[string]any{"id": a.ID()})
	}
}

// ask sends the same write, over all instances, until there is a definite answer.
func (c *Customer) ask(document string, input map[string]any) (WriteAnswer, bool) {
	var data WriteData
	answered := c.retry(func(ctx context.Context, url string) error {
		data = WriteData{}
		return c.Target.Client.Ask(ctx, url, document, map[string]any{"input": input}, &data)
	})
	return data.Answer, answered
}
