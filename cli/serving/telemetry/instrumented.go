//go:build !uninstrumented

package telemetry

// Instrumented reports whether this build says anything of its requests. A build with the tag
// uninstrumented has no ids, metrics and traces of requests: benchmarks measure what they cost.
const Instrumented = true
