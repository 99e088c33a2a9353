package upkeep

import (
	"context"
	"time"

	"onhand/store/backoff"
)

// Every runs work about every interval, and whenever wake receives, until ctx
// ends. It does not run work at once. A nil wake never receives.
func Every(ctx context.Context, interval time.Duration, wake <-chan struct{}, work func(context.Context)) {
	timer := time.NewTimer(backoff.Jitter(interval))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-wake:
		}
		work(ctx)
		timer.Reset(backoff.Jitter(interval))
	}
}
