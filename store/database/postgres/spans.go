package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onhand/tracing"
)

// statementSpans makes a span of each statement, and of each pipeline of them, that a
// recorded span waits for. The text of a statement has no values: those are arguments.
type statementSpans struct{}

var (
	_ pgx.QueryTracer = statementSpans{}
	_ pgx.BatchTracer = statementSpans{}
)

// statementBytesMax bounds the text of a statement in a span.
const statementBytesMax = 500

type statementSpanKey struct{}

func startStatement(ctx context.Context, name, text string, statements int) context.Context {
	ctx, span := tracing.Start(ctx, name)
	if !span.Recorded() {
		return ctx
	}
	span.Text("db.system.name", "postgresql")
	span.Int("db.operation.batch.size", statements)
	span.Text("db.query.text", text[:min(len(text), statementBytesMax)])
	return context.WithValue(ctx, statementSpanKey{}, span)
}

func endStatement(ctx context.Context, err error) {
	span, ok := ctx.Value(statementSpanKey{}).(tracing.RecordedSpan)
	if !ok {
		return
	}
	if refused, isRefusal := errors.AsType[*pgconn.PgError](err); isRefusal {
		span.Fail(refused.Code)
	} else if err != nil {
		span.Fail("no answer")
	}
	span.End()
}

// TraceQueryStart implements pgx.QueryTracer.
func (statementSpans) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return startStatement(ctx, "statement", data.SQL, 1)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (statementSpans) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	endStatement(ctx, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (statementSpans) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	text := ""
	if n := len(data.Batch.QueuedQueries); n > 0 {
		text = data.Batch.QueuedQueries[n-1].SQL
	}
	return startStatement(ctx, "pipeline", text, data.Batch.Len())
}

// TraceBatchQuery implements pgx.BatchTracer.
func (statementSpans) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (statementSpans) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	endStatement(ctx, data.Err)
}

// traced has the connections of a pool make spans, where they are wanted. pgx asks a tracer
// at each statement.
func traced(config *pgx.ConnConfig) *pgx.ConnConfig {
	if tracing.Enabled() {
		config.Tracer = statementSpans{}
	}
	return config
}
