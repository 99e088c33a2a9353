//go:build uninstrumented

package telemetry

// Instrumented is false: see instrumented.go.
const Instrumented = false
