package wait

import (
	"testing"
	"time"
)

// PollEvery is how often a wait looks again.
const PollEvery = 10 * time.Millisecond

// Until waits until done, and fails the test when that takes longer than limit.
func Until(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	if !Within(limit, done) {
		t.Fatalf("%s: not within %s", what, limit)
	}
}

// Within waits until done, and reports whether that was within limit. It looks at least once.
func Within(limit time.Duration, done func() bool) bool {
	for deadline := time.Now().Add(limit); !done(); time.Sleep(PollEvery) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
