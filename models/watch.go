package models

import "context"

// Watch is a stream of states: the current one first, then newer ones.
type Watch[T any] interface {
	// Next waits for the next state. It ends with io.EOF after a last state,
	// or with the error that ended the watch.
	Next(ctx context.Context) (T, error)
	// Close ends the watch; it may be called more than once.
	Close()
}
