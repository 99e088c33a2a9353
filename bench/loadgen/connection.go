package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Document is what a storefront sends, and asks for, when it reserves a basket.
const Document = `mutation($input: ReserveStockInput!) { reserveStock(input: $input) {
	reservation { id state expiresAt serverTime } replayed errors { __typename ... on UserError { message path } } } }`

// Connection reserves baskets over one HTTP connection, one call at a time.
type Connection struct {
	*Requester
	beforeKey     []byte // the body up to the key
	body, request []byte // reused
}

const betweenKeyAndOwner, betweenKeyAndLines, afterLines = `","ownerRef":"`, `","lines":`, `}}}`

// Dial connects to the server at address (host:port).
func Dial(address string) (*Connection, error) {
	query, err := json.Marshal(Document)
	if err != nil {
		return nil, err
	}
	client, err := DialRequester(address)
	if err != nil {
		return nil, err
	}
	return &Connection{
		Requester: client,
		beforeKey: []byte(`{"query":` + string(query) + `,"variables":{"input":{"idempotencyKey":"`),
	}, nil
}

var (
	accepted = []byte(`"state":"ACTIVE"`)
	noErrors = []byte(`"errors":[]`)
)

// Reserve sends one basket and waits for its reservation. owners: it has an owner of its own.
func (c *Connection) Reserve(w *Worker, basket Basket, owners bool) error {
	c.body = append(c.body[:0], c.beforeKey...)
	at := len(c.body)
	c.body = w.AppendKey(c.body)
	if key := len(c.body); owners {
		c.body = append(append(c.body, betweenKeyAndOwner...), c.body[at:key]...)
	}
	c.body = append(c.body, betweenKeyAndLines...)
	c.body = append(append(c.body, basket.json...), afterLines...)
	c.request = c.AppendRequest(c.request[:0], c.body)
	answer, err := c.Do(c.request)
	if err != nil {
		return err
	}
	if !bytes.Contains(answer, accepted) || !bytes.Contains(answer, noErrors) {
		return fmt.Errorf("no reservation: %s", answer)
	}
	w.Acknowledge(basket)
	return nil
}

// Pool has a connection for each worker.
type Pool []*Connection

// DialPool opens a connection for each of so many callers, to the servers in turn.
func DialPool(addresses []string, callers int) (Pool, error) {
	var p Pool
	for i := range callers {
		c, err := Dial(addresses[i%len(addresses)])
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p = append(p, c)
	}
	return p, nil
}

// Reserve is the call of a closed loop: each worker sends baskets on its own connection.
func (p Pool) Reserve(baskets []Basket) func(*Worker) error {
	return func(w *Worker) error { return p[w.Number].Reserve(w, w.Choose(baskets), false) }
}

// ReserveForOwners is Reserve, with another owner for each reservation.
func (p Pool) ReserveForOwners(baskets []Basket) func(*Worker) error {
	return func(w *Worker) error { return p[w.Number].Reserve(w, w.Choose(baskets), true) }
}

// Close closes all connections.
func (p Pool) Close() error {
	var errs []error
	for _, c := range p {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
