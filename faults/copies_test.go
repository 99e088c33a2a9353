package faults

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestF10CopyKilled: one copy is killed under load, with a batch in its hands and holds of its customers running out.
// They go on at the other; holds end in time, and each cart was held whole or not at all.
func TestF10CopyKilled(t *testing.T) {
	s := Open(t, Plan{Short: true, Walkaways: true})
	load := s.Load()
	load.More(500)
	s.Copies[0].Kill()
	load.More(500) // the other has it all, the ends of the first one's holds too
	s.Copies[0].Start()
	load.More(300)
	load.Stop()
	assert.Positive(t, load.Codes.Count("lost"), "nobody noticed")
	assert.Empty(t, load.Codes.unexpected())
	s.Check()
}
