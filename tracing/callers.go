package tracing

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// callersMax bounds the callers that the span of a batch is linked to. OpenTelemetry keeps as
// many links of a span.
const callersMax = 128

// Callers are the callers of one batch whose spans are recorded. The zero value has none. It
// is not safe for concurrent use.
type Callers struct {
	spans []trace.Span
	batch trace.SpanContext // once Start has begun it
}

// Add adds the span of a caller. Where the batch has begun already, its span is only linked
// from that of the caller.
func (c *Callers) Add(caller RecordedSpan) {
	if caller.recorded == nil {
		return
	}
	if c.batch.IsValid() {
		caller.recorded.AddLink(trace.Link{SpanContext: c.batch})
	} else if len(c.spans) < callersMax {
		c.spans = append(c.spans, caller.recorded)
	}
}

// Start begins the span of the batch, and returns a context with it. Without a recorded
// caller it returns ctx and no span.
func (c *Callers) Start(ctx context.Context, name string) (context.Context, RecordedSpan) {
	if len(c.spans) == 0 {
		return ctx, RecordedSpan{}
	}
	links := make([]trace.Link, 0, len(c.spans)-1)
	for _, caller := range c.spans[1:] {
		links = append(links, trace.Link{SpanContext: caller.SpanContext()})
	}
	ctx, span := start(trace.ContextWithSpan(ctx, c.spans[0]), name, trace.WithLinks(links...))
	if span.recorded == nil { // the first caller has gone
		return ctx, span
	}
	c.batch = span.recorded.SpanContext()
	for _, caller := range c.spans[1:] {
		caller.AddLink(trace.Link{SpanContext: c.batch})
	}
	c.spans = nil
	return ctx, span
}
