package faults

import (
	"flag"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "the seed of every random choice, as a failed run printed it; also FAULT_SEED in the environment; 0 draws one")
	serverRace = flag.Bool("server-race", false, "build the server copies with the race detector")
)

// runSeed is the seed of this test process.
var runSeed = sync.OnceValue(func() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	if given, err := strconv.ParseUint(os.Getenv("FAULT_SEED"), 10, 64); err == nil && given != 0 {
		return given
	}
	return rand.Uint64N(1<<53) + 1
})

// chance is a stream of random choices of its own for each name (a customer, a schedule) of a test: what one draws does
// not change what another does, so that the same seed gives everybody the same choices however threads are scheduled.
func chance(t testing.TB, name string) *rand.Rand {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(t.Name() + "\x00" + name))
	return rand.New(rand.NewPCG(runSeed(), sum.Sum64()))
}
