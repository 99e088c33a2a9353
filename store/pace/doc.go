// Package pace says how long whoever comes round, or tries again, waits: at
// random times, so that copies that were started at one moment, or lost a server
// at one, do not come to it in step.
//
// May import: the standard library. There is no server behind it.
//
// Invariants: [Around] is never more than a tenth off; [Backoff] never waits
// longer than its Max, nor less than half of its Min.
package pace
