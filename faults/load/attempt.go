package load

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// NoAnswer is the code of an attempt that got no whole answer.
	NoAnswer = "NO_ANSWER"
	// Unavailable is the server's code to try again with.
	Unavailable = "UNAVAILABLE"
	// truncatedMax bounds the truncated answers that are kept.
	truncatedMax = 20
)

// retryable are the codes that a client may get from a shop whose servers fail.
var retryable = []string{NoAnswer, Unavailable}

// AttemptError is an attempt without a definite answer: what was asked may have happened or not.
type AttemptError struct {
	// Code is the error's code, or NoAnswer.
	Code, Message string
	// Truncated: an answer began and was not whole.
	Truncated bool
	// RetryAfter is when the server says to come back; 0 when it does not say.
	RetryAfter time.Duration
}

// Error implements error.
func (e *AttemptError) Error() string { return e.Code + ": " + e.Message }

// Attempts counts the attempts without a definite answer, by their code. It is safe for concurrent use.
type Attempts struct {
	mu        sync.Mutex
	counts    map[string]int
	examples  map[string]string
	truncated []string
}

func (a *Attempts) add(err error) {
	code, message, truncated := NoAnswer, err.Error(), false
	var failed *AttemptError
	if errors.As(err, &failed) {
		code, message, truncated = failed.Code, failed.Message, failed.Truncated
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts, a.examples = map[string]int{}, map[string]string{}
	}
	a.counts[code]++
	if a.examples[code] == "" {
		a.examples[code] = message
	}
	if truncated && len(a.truncated) < truncatedMax {
		a.truncated = append(a.truncated, message)
	}
}

// Truncated are answers that began and were not whole, some of them.
func (a *Attempts) Truncated() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.truncated)
}

// Count is how often a code came.
func (a *Attempts) Count(code string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[code]
}

// String lists the codes with an example each; empty without any.
func (a *Attempts) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(a.counts)) {
		parts = append(parts, fmt.Sprintf("%d %s (%s)", a.counts[code], code, a.examples[code]))
	}
	return strings.Join(parts, ", ")
}

// Unexpected are the codes that tell a client to give up, which no fault may lead to.
func (a *Attempts) Unexpected() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []string
	for code := range a.counts {
		if !slices.Contains(retryable, code) {
			found = append(found, code+": "+a.examples[code])
		}
	}
	return found
}
