package store

import (
	"math/rand/v2"
	"time"
)

// around is about d, a tenth more or less at random: copies that were started
// at one moment, or lost a server at one, must not come to it in step.
func around(d time.Duration) time.Duration {
	tenth := d / 10
	return d - tenth + rand.N(2*tenth+1)
}

// backoff is a wait that doubles from least to most while something is away,
// each shortened at random by up to half.
func backoff(last *time.Duration, least, most time.Duration) time.Duration {
	*last = min(max(2**last, least), most)
	return *last/2 + rand.N(*last/2+1)
}
