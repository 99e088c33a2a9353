package persisted

import (
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// The bounds of the registered documents. A storefront has some tens of documents, of
// up to 4 KiB each.
const (
	// bytesMax bounds all documents, callerBytesMax those of one caller.
	bytesMax       = 8 << 20
	callerBytesMax = 2 << 20
	// DocumentBytesMax is the largest document that is registered. guard.TokensMax
	// tokens need less, unless names are long.
	DocumentBytesMax = 64 << 10
	// documentBytesMin is what a small document counts as. So the bounds in bytes bound
	// the number too.
	documentBytesMin = 8 << 10

	// DocumentsMax and CallerDocumentsMax are the numbers that follow.
	DocumentsMax       = bytesMax / documentBytesMin
	CallerDocumentsMax = callerBytesMax / documentBytesMin
)

// Store has the registered documents by their hash. Make it with NewStore.
type Store struct {
	mu        sync.Mutex
	documents map[string]*document
	shares    map[string]*share // by caller; none is empty
	bytes     int
	uses      uint64 // grows with every use of a document
}

// document is one registered document.
type document struct {
	hash, text string
	caller     string // which registered it
	size       int    // what it counts as
	used       uint64 // Store.uses at its last use
}

// share is the documents that one caller registered, ordered by their last use.
type share struct {
	documents *simplelru.LRU[string, *document]
	bytes     int
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{documents: map[string]*document{}, shares: map[string]*share{}}
}

// Get returns the document with this hash, whichever caller registered it.
func (s *Store) Get(hash string) (text string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, known := s.documents[hash]
	if !known {
		return "", false
	}
	s.use(d)
	return d.text, true
}

// Add registers a document for a caller. A document that is registered stays with the
// first caller. A large document is not registered.
func (s *Store) Add(caller, hash, text string) {
	if len(text) > DocumentBytesMax {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, known := s.documents[hash]; known {
		s.use(d)
		return
	}
	d := &document{hash: hash, text: strings.Clone(text), caller: caller, size: max(len(text), documentBytesMin)}
	for own := s.shares[caller]; own != nil && own.bytes+d.size > callerBytesMax; own = s.shares[caller] {
		s.removeOldest(own)
	}
	for s.bytes+d.size > bytesMax {
		s.removeOldest(s.largest())
	}
	s.insert(d)
}

func (s *Store) insert(d *document) {
	own := s.shares[d.caller]
	if own == nil {
		documents, _ := simplelru.NewLRU[string, *document](CallerDocumentsMax, nil) // fails for sizes below 1
		own = &share{documents: documents}
		s.shares[d.caller] = own
	}
	s.documents[d.hash] = d
	own.documents.Add(d.hash, d)
	own.bytes += d.size
	s.bytes += d.size
	s.use(d)
}

// use makes a document the last used one of its caller.
func (s *Store) use(d *document) {
	s.uses++
	d.used = s.uses
	s.shares[d.caller].documents.Get(d.hash)
}

// largest returns the share with the most bytes; among equals the one whose oldest
// document was not used for the longest time. It visits every share: at most
// DocumentsMax, some 20 µs.
func (s *Store) largest() *share {
	var found *share
	var oldest uint64
	for _, candidate := range s.shares {
		_, d, _ := candidate.documents.GetOldest() // no share is empty
		if found == nil || candidate.bytes > found.bytes || candidate.bytes == found.bytes && d.used < oldest {
			found, oldest = candidate, d.used
		}
	}
	return found
}

// removeOldest removes the document of a share that was not used for the longest time.
func (s *Store) removeOldest(from *share) {
	hash, d, _ := from.documents.RemoveOldest()
	delete(s.documents, hash)
	from.bytes -= d.size
	s.bytes -= d.size
	if from.documents.Len() == 0 {
		delete(s.shares, d.caller)
	}
}
