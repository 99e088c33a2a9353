package apierror

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"onhand/models"
)

const (
	// repeatInterval is how often a fault that comes again and again is logged.
	repeatInterval = 30 * time.Second
	// repeatsMax bounds the messages that are told apart. The others count as one.
	repeatsMax = 100
)

// repeats logs the first of the faults with one message, and then every 30 s how many
// more there were. An outage fails every request, and a line for each would hide
// everything else. It is safe for concurrent use.
type repeats struct {
	log *slog.Logger

	mu     sync.Mutex
	counts map[string]int // by message: faults since the last line
}

func newRepeats(log *slog.Logger) *repeats { return &repeats{log: log, counts: map[string]int{}} }

// warn logs a fault, or counts it.
func (r *repeats) warn(ctx context.Context, fault *models.Fault, path string) {
	message := fault.Message
	r.mu.Lock()
	count, repeated := r.counts[message]
	if !repeated && len(r.counts) >= repeatsMax {
		message = ""
		count, repeated = r.counts[message]
	}
	if repeated {
		r.counts[message] = count + 1
	} else {
		r.counts[message] = 0
		time.AfterFunc(repeatInterval, func() { r.summarise(message) })
	}
	r.mu.Unlock()
	if !repeated {
		r.log.WarnContext(ctx, "unavailable", "path", path, "error", fault)
	}
}

// summarise logs how many faults were counted. When there was none, the next one is
// logged in full again.
func (r *repeats) summarise(message string) {
	r.mu.Lock()
	count := r.counts[message]
	if count == 0 {
		delete(r.counts, message)
	} else {
		r.counts[message] = 0
		time.AfterFunc(repeatInterval, func() { r.summarise(message) })
	}
	r.mu.Unlock()
	if count > 0 {
		r.log.Warn("unavailable, again", "message", message, "responses", count, "in", repeatInterval)
	}
}
