package graph

import (
	"context"
	"errors"
	"io"

	"onhand/models"
)

// stream hands a watch's states to a subscription until either ends. The
// channel has no buffer: a slow client leaves the states with the watch, where
// the latest wins.
func stream[T any](ctx context.Context, r *Resolver, watch models.Watch[T], change func(T) T) <-chan T {
	out := make(chan T)
	go func() {
		defer close(out)
		defer watch.Close()
		for {
			state, err := watch.Next(ctx)
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, io.EOF) {
					r.Log.Debug("a subscription ended", "error", err)
				}
				return
			}
			select {
			case out <- change(state):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
