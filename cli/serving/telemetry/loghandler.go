package telemetry

import (
	"context"
	"log/slog"

	"onhand/graph/guard"
	"onhand/tracing"
)

// LogHandler adds the ids of a request and its trace to each line that is logged with the
// request's context.
func LogHandler(next slog.Handler) slog.Handler { return idHandler{next} }

type idHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h idHandler) Handle(ctx context.Context, line slog.Record) error {
	if id := guard.RequestID(ctx); id != "" {
		line.AddAttrs(slog.String("request_id", id))
	}
	if id := tracing.TraceID(ctx); id != "" {
		line.AddAttrs(slog.String("trace_id", id))
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs implements slog.Handler.
func (h idHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return idHandler{h.Handler.WithAttrs(attributes)}
}

// WithGroup implements slog.Handler.
func (h idHandler) WithGroup(name string) slog.Handler { return idHandler{h.Handler.WithGroup(name)} }
