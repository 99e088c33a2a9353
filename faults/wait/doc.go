// Package wait waits for events. Scenarios wait for what must happen, with a limit, and never for a time in which it
// should have happened.
//
// It imports nothing of Onhand.
package wait
