// Package otlp sends spans to a collector: the OpenTelemetry protocol over HTTP, with Protobuf.
//
// It has what Onhand needs of OpenTelemetry's own exporter, which would add gRPC and 6 MB to the binary: one endpoint,
// headers, and a root certificate. The messages are OpenTelemetry's.
//
// Invariants:
//   - A request to the collector has a time limit, and so have its attempts together.
//   - A redirect is not followed: the headers may have a secret.
//   - What the collector answers is not kept.
//
// May import: OpenTelemetry's SDK and messages, onhand/store/outage.
//
// Without the collector the spans are dropped. An outage is logged as one of the database is.
package otlp
