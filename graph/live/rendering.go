package live

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"onhand/graph/compiled"
	"onhand/graph/viewer"
	"onhand/models"
)

const (
	// renderingsMax is how many renderings are remembered: more changes than are on
	// their way to clients at any moment.
	renderingsMax = 1024
	// renderingBytesMax is the largest rendering that is remembered. A larger one is
	// made for each subscriber.
	renderingBytesMax = 8 << 10
)

// rendered is what a rendering is made of. Nothing changes these values after they are
// made.
type rendered struct {
	selection *compiled.StockSelection
	stock     *models.Stock
	directory *models.Directory
	limit     viewer.QuantityCap // the class of viewer
}

// rendering is a payload.
type rendering struct {
	rendered
	payload []byte
}

// renderings remembers payloads by what they are made of.
type renderings struct {
	places [renderingsMax]place
}

type place struct {
	mu     sync.Mutex // locked while a payload is made
	latest atomic.Pointer[rendering]
}

var renderingSeed = maphash.MakeSeed()

// of returns a payload, which is shared.
func (r *renderings) of(key rendered) []byte {
	p := &r.places[maphash.Comparable(renderingSeed, key)%renderingsMax]
	if found := p.latest.Load(); found != nil && found.rendered == key {
		return found.payload
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.latest.Load(); found != nil && found.rendered == key {
		return found.payload
	}
	payload := key.render()
	if len(payload) <= renderingBytesMax {
		p.latest.Store(&rendering{key, payload})
	}
	return payload
}

// renderBytes is the initial size of a payload.
const renderBytes = 512

func (r rendered) render() []byte {
	b := append(make([]byte, 0, renderBytes), `{"data":`...)
	return append(r.selection.Append(b, r.stock, r.directory, r.limit), '}')
}

// selections has the selections of the current subscriptions, each once.
type selections struct {
	mu    sync.Mutex
	byKey map[string]*selection
}

type selection struct {
	*compiled.StockSelection
	subscriptions int
}

// acquire returns the selection that is equal to a subscription's. The subscription
// releases it.
func (s *selections) acquire(own *compiled.StockSelection) *selection {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byKey[own.Key]
	if found == nil {
		found = &selection{StockSelection: own}
		s.byKey[own.Key] = found
	}
	found.subscriptions++
	return found
}

func (s *selections) release(acquired *selection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if acquired.subscriptions--; acquired.subscriptions == 0 {
		delete(s.byKey, acquired.Key)
	}
}
