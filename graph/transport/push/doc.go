// Package push is the seam between a transport that needs no goroutine for a
// subscription, and a schema whose subscription can be asked for results.
//
// The transport offers it with the context of an operation ([With]). A schema that
// accepts ([Offer.Accept]) gives a [Source], and calls the offer's Notify when the
// source may have results. A worker then takes them and writes them ([Workers]), or
// the goroutine that notifies does, where it has nothing else to do. A schema that does
// not know the offer answers as it always does.
//
// The operation middleware of gqlgen runs before a schema accepts. The response
// middleware does not run for the results of a source.
//
// Invariants:
//   - Notify does not block.
//   - One goroutine at a time calls Next of a source.
//   - A payload is shared: it is never changed.
//   - At most as many workers run as there are processors, and none while nothing is
//     pending.
//
// May import: the standard library.
package push
