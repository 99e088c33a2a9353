// Package backoff gives jittered intervals for retries and for periodic work.
// Instances that start together, or that lose a server together, do not come
// back to it at the same moments.
//
// Invariants: [Jitter] changes an interval by at most a tenth. [Backoff] never
// waits longer than its Max, nor less than half of its Min.
//
// May import: the standard library. The package uses no server.
package backoff
