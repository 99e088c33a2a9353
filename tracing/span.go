package tracing

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Scope names the tracer of all spans.
const Scope = "onhand"

var enabled atomic.Bool

// Enable has spans recorded from now on.
func Enable() { enabled.Store(true) }

// Enabled reports whether spans may be recorded.
func Enabled() bool { return enabled.Load() }

// RecordedSpan is a recorded span. The zero value is none, and its methods do nothing.
type RecordedSpan struct{ recorded trace.Span }

// Start begins a span below the recorded one of ctx, and returns a context with it. Without
// one it returns ctx and no span.
func Start(ctx context.Context, name string) (context.Context, RecordedSpan) {
	if !enabled.Load() {
		return ctx, RecordedSpan{}
	}
	return start(ctx, name)
}

func start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, RecordedSpan) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, RecordedSpan{}
	}
	ctx, span := parent.TracerProvider().Tracer(Scope).Start(ctx, name, options...)
	return ctx, RecordedSpan{span}
}

// Current returns the recorded span of ctx.
func Current(ctx context.Context) RecordedSpan {
	if !enabled.Load() {
		return RecordedSpan{}
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		return RecordedSpan{span}
	}
	return RecordedSpan{}
}

// TraceID returns the id of the trace of ctx in hexadecimal; empty where it is not recorded.
func TraceID(ctx context.Context) string { return Current(ctx).TraceID() }

// TraceID returns the id of the span's trace in hexadecimal; empty without a span.
func (s RecordedSpan) TraceID() string {
	if s.recorded == nil {
		return ""
	}
	return s.recorded.SpanContext().TraceID().String()
}

// Recorded reports whether there is a span.
func (s RecordedSpan) Recorded() bool { return s.recorded != nil }

// Int sets an attribute.
func (s RecordedSpan) Int(name string, value int) {
	if s.recorded != nil {
		s.recorded.SetAttributes(attribute.Int(name, value))
	}
}

// Text sets an attribute.
func (s RecordedSpan) Text(name, value string) {
	if s.recorded != nil {
		s.recorded.SetAttributes(attribute.String(name, value))
	}
}

// Fail marks the span as failed. The reason is a code or a fixed text: an error's own text
// may have ids.
func (s RecordedSpan) Fail(reason string) {
	if s.recorded != nil {
		s.recorded.SetStatus(codes.Error, reason)
	}
}

// End ends the span.
func (s RecordedSpan) End() {
	if s.recorded != nil {
		s.recorded.End()
	}
}
