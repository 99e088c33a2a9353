// Package tracing makes the spans of traces inside Onhand, through the API of OpenTelemetry.
//
// Terms: a recorded span is one of a trace that was sampled. The callers of a batch are the reads or writes that it joins.
//
//   - [Start] begins a span below the recorded one of a context. It takes the tracer from that span, so that no package is
//     given one.
//   - [Callers] begin the one span of a batch: below the span of the first caller, linked to those of the others. The span
//     of each caller is linked to it, so that the batch is found from each trace.
//
// Invariants:
//   - Until [Enable] is called, a call takes one load of a variable, and allocates nothing.
//   - A context without a recorded span gets none.
//   - No span has an id of a reservation, an idempotency key, a token, or an argument of a statement.
//
// May import: OpenTelemetry's API. It knows no exporter: package telemetry of the server has it.
package tracing
