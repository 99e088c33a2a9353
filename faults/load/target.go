package load

import (
	"sync"
	"testing"
	"time"

	"onhand/faults/model"
)

const (
	// LongTTL outlives every scenario: such a reservation ends only when a client ends it.
	LongTTL = time.Hour
	// ShortTTL is over within a scenario.
	ShortTTL = 2 * time.Second
	// Location is the one location. With one, a product's level is its stock, and a shortage gives what the level has.
	Location = "warehouse"
	// unexpectedMax is how many unexpected answers a scenario prints.
	unexpectedMax = 10
)

// Target is the shop as its clients see it.
type Target struct {
	T testing.TB
	// Name is that of the scenario, and the prefix of its idempotency keys.
	Name string
	// URLs are those of the instances.
	URLs []string
	// Products are those that customers know.
	Products []string
	History  *model.History
	// Client is that of customers and of the checks; Shoppers, that of shoppers.
	Client, Shoppers *Client
	// Access is that of Client and of subscribers.
	Access ClientAccess
	// ThinkTime is a customer's pause between two operations, on average.
	ThinkTime time.Duration
	// ShortReservations: some customers reserve for ShortTTL and let the reservation expire.
	ShortReservations bool
	// WrongAnswers: clients may get wrong answers, which only the history is to find.
	WrongAnswers bool

	mu         sync.Mutex
	customers  int // so far
	unexpected int // answers, so far
}

// url is that of one instance; the numbers go round.
func (t *Target) url(n int) string { return t.URLs[n%len(t.URLs)] }

// nextCustomer is the number of one more customer, from 1.
func (t *Target) nextCustomer() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.customers++
	return t.customers
}

// errorf fails the test for an answer that no fault may lead to.
func (t *Target) errorf(format string, args ...any) {
	if t.WrongAnswers {
		return
	}
	t.mu.Lock()
	t.unexpected++
	count := t.unexpected
	t.mu.Unlock()
	if count <= unexpectedMax {
		t.T.Errorf(format, args...)
	}
}
