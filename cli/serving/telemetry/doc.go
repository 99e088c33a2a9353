// Package telemetry has what a server says of its requests: metrics, traces, and the ids in the lines of its log.
//
// Terms: the id of a request is X-Request-Id, which the answer has too. A trusted caller is a proxy of TRUSTED_PROXIES, or
// any caller where no tokens are configured, because all are of this machine then. The budget of traces bounds those that
// callers ask for.
//
//   - traces.go has the settings of traces, and the provider of their spans; sampler.go decides which requests have some.
//     headers.go checks those for the collector. Package otlp sends the spans.
//   - identifiers.go gives each request its id, and its span where that is wanted.
//   - metrics.go counts requests by transport; build.go says which build this is.
//   - loghandler.go adds the ids to the lines of the log.
//
// Invariants:
//   - X-Request-Id, traceparent and tracestate count from a trusted caller only. A proxy passes on what its clients send:
//     therefore an id is bounded and has plain characters, and the budget bounds the traces that traceparent forces.
//   - Without an endpoint for traces no span is made, and a request costs what it costs without this package's traces.
//   - No line of the log and no message has a header for the collector, or more of its URL than the scheme and host.
//   - The name of a request's span is one of a few: a client's own method is HTTP.
//   - A collector that does not answer delays no request: spans wait in a bounded queue, and are dropped.
//
// May import: otlp, guard, transport, tracing.
package telemetry
