package persisted

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// TestMain fails on leaked goroutines.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// add registers a document of so many bytes and returns its hash.
func (s *Store) add(caller, name string, size int) (hash string) {
	text := name + strings.Repeat(" ", max(0, size-len(name)))
	s.Add(caller, Hash(text), text)
	return Hash(text)
}

func (s *Store) has(hash string) bool {
	_, known := s.Get(hash)
	return known
}

// TestStoreIsSharedByCallers: any caller finds a document that one registered.
func TestStoreIsSharedByCallers(t *testing.T) {
	t.Parallel()
	s := NewStore()
	hash := s.add("a", "{ a }", 0)
	s.add("b", "{ a }", 0)
	text, known := s.Get(hash)
	assert.True(t, known)
	assert.Equal(t, "{ a }", text)
	assert.Equal(t, documentBytesMin, s.bytes, "it counts once")
	assert.False(t, s.has(Hash("{ b }")))
}

// TestLargeDocumentIsNotRegistered: a document of DocumentBytesMax is registered, a
// larger one is not.
func TestLargeDocumentIsNotRegistered(t *testing.T) {
	t.Parallel()
	s := NewStore()
	assert.True(t, s.has(s.add("a", "fits", DocumentBytesMax)))
	assert.False(t, s.has(s.add("a", "large", DocumentBytesMax+1)))
}

// TestCallerLosesItsOwn: a caller that registers too many documents loses the one of its
// own that was not used for the longest time, and no other caller loses any.
func TestCallerLosesItsOwn(t *testing.T) {
	t.Parallel()
	s := NewStore()
	shop := s.add("shop", "shop", 0)
	first, second := s.add("stranger", "first", 0), s.add("stranger", "second", 0)
	for i := range CallerDocumentsMax - 2 {
		s.add("stranger", fmt.Sprint(i), 0)
	}
	require.True(t, s.has(first))
	s.add("stranger", "one more", 0)
	assert.True(t, s.has(first), "it was used")
	assert.False(t, s.has(second))
	for i := range 10 * CallerDocumentsMax {
		s.add("stranger", fmt.Sprint("more ", i), i)
	}
	assert.True(t, s.has(shop))
	assert.Equal(t, CallerDocumentsMax, s.shares["stranger"].documents.Len())
}

// TestLargestCallerLoses: when all callers together have too many documents, those with
// the most lose theirs, and a caller with a few keeps them.
func TestLargestCallerLoses(t *testing.T) {
	t.Parallel()
	s := NewStore()
	var shop []string
	for i := range 30 {
		shop = append(shop, s.add("shop", fmt.Sprint("shop ", i), 4<<10))
	}
	for stranger := range 20 {
		for i := range CallerDocumentsMax {
			s.add(fmt.Sprint("stranger ", stranger), fmt.Sprint(stranger, " ", i), 0)
		}
	}
	assert.Len(t, s.documents, DocumentsMax)
	for _, hash := range shop {
		assert.True(t, s.has(hash))
	}
}

// TestOldestOfEqualsLoses: among callers of one document each, the document that was not
// used for the longest time is removed.
func TestOldestOfEqualsLoses(t *testing.T) {
	t.Parallel()
	s := NewStore()
	first, second := s.add("caller 0", "0", 0), s.add("caller 1", "1", 0)
	for i := 2; i < DocumentsMax; i++ {
		s.add(fmt.Sprint("caller ", i), fmt.Sprint(i), 0)
	}
	require.True(t, s.has(first))
	s.add("late", "late", 0)
	assert.True(t, s.has(first))
	assert.False(t, s.has(second))
	assert.Len(t, s.shares, DocumentsMax, "a caller without documents is forgotten")
}

// TestStoreBounds: whatever callers register, the sums are right and within the bounds.
func TestStoreBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := NewStore()
		callers, largest := rapid.IntRange(1, 30).Draw(t, "callers"), rapid.SampledFrom([]int{1, DocumentBytesMax + 1}).Draw(t, "largest")
		for i := range rapid.IntRange(0, 1500).Draw(t, "documents") {
			size := i * 7919 % largest
			s.add(fmt.Sprint(i*i%callers), fmt.Sprint(i*31%1200), size)
		}
		s.check(t)
	})
}

func (s *Store) check(t require.TestingT) {
	bytes, documents := 0, 0
	for caller, own := range s.shares {
		size := 0
		for _, d := range own.documents.Values() {
			require.Equal(t, caller, d.caller)
			require.Same(t, d, s.documents[d.hash])
			require.Equal(t, d.hash, Hash(d.text))
			size += d.size
		}
		require.Equal(t, size, own.bytes)
		require.LessOrEqual(t, size, callerBytesMax)
		require.Positive(t, own.documents.Len())
		bytes, documents = bytes+size, documents+own.documents.Len()
	}
	require.Equal(t, bytes, s.bytes)
	require.Len(t, s.documents, documents)
	require.LessOrEqual(t, bytes, bytesMax)
}

// TestStoreConcurrently: callers use the store at one moment.
func TestStoreConcurrently(t *testing.T) {
	t.Parallel()
	s := NewStore()
	var running sync.WaitGroup
	for caller := range 8 {
		running.Go(func() {
			for i := range 600 {
				s.has(s.add(fmt.Sprint(caller), fmt.Sprint(caller%2, i), 0))
			}
		})
	}
	running.Wait()
	s.check(t)
}
