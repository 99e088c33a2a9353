package chance

import (
	"flag"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
)

// seedMax keeps a seed short enough to type.
const seedMax = 1 << 53

var seedFlag = flag.Uint64("seed", 0, "the seed of every random choice, as a failed run printed it; also FAULT_SEED in the environment; 0 draws one")

// Seed is the seed of this test process.
var Seed = sync.OnceValue(func() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	if given, err := strconv.ParseUint(os.Getenv("FAULT_SEED"), 10, 64); err == nil && given != 0 {
		return given
	}
	return rand.Uint64N(seedMax) + 1
})

// New is the stream of random choices of a name in a test.
func New(t testing.TB, name string) *rand.Rand {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(t.Name() + "\x00" + name)) // never fails
	return rand.New(rand.NewPCG(Seed(), sum.Sum64()))
}
