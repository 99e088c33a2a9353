package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// message is the request of an export. TracesData has the same fields as the request's own
// message.
func message(spans []sdk.ReadOnlySpan) *tracepb.TracesData {
	list := make([]*tracepb.Span, len(spans))
	for i, span := range spans {
		list[i] = encode(span)
	}
	// All spans are of one process, and of one tracer.
	scope := spans[0].InstrumentationScope()
	return &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: &resource.Resource{Attributes: attributes(spans[0].Resource().Attributes())},
		ScopeSpans: []*tracepb.ScopeSpans{{
			Scope: &common.InstrumentationScope{Name: scope.Name, Version: scope.Version},
			Spans: list,
		}},
	}}}
}

func encode(span sdk.ReadOnlySpan) *tracepb.Span {
	of := span.SpanContext()
	traceID, spanID := of.TraceID(), of.SpanID()
	encoded := &tracepb.Span{
		TraceId: traceID[:], SpanId: spanID[:], TraceState: of.TraceState().String(), Flags: flags(of),
		Name: span.Name(), Kind: kinds[span.SpanKind()],
		StartTimeUnixNano: uint64(span.StartTime().UnixNano()), EndTimeUnixNano: uint64(span.EndTime().UnixNano()),
		Attributes: attributes(span.Attributes()), DroppedAttributesCount: uint32(span.DroppedAttributes()),
		DroppedLinksCount: uint32(span.DroppedLinks()), DroppedEventsCount: uint32(span.DroppedEvents()),
		Status: status(span.Status()),
	}
	if parent := span.Parent(); parent.SpanID().IsValid() {
		parentID := parent.SpanID()
		encoded.ParentSpanId = parentID[:]
	}
	for _, link := range span.Links() {
		linkTrace, linkSpan := link.SpanContext.TraceID(), link.SpanContext.SpanID()
		encoded.Links = append(encoded.Links, &tracepb.Span_Link{
			TraceId: linkTrace[:], SpanId: linkSpan[:], TraceState: link.SpanContext.TraceState().String(),
			Attributes: attributes(link.Attributes), Flags: flags(link.SpanContext),
		})
	}
	for _, event := range span.Events() {
		encoded.Events = append(encoded.Events, &tracepb.Span_Event{
			TimeUnixNano: uint64(event.Time.UnixNano()), Name: event.Name, Attributes: attributes(event.Attributes),
		})
	}
	return encoded
}

var kinds = map[trace.SpanKind]tracepb.Span_SpanKind{
	trace.SpanKindInternal: tracepb.Span_SPAN_KIND_INTERNAL, trace.SpanKindServer: tracepb.Span_SPAN_KIND_SERVER,
	trace.SpanKindClient: tracepb.Span_SPAN_KIND_CLIENT, trace.SpanKindProducer: tracepb.Span_SPAN_KIND_PRODUCER, trace.SpanKindConsumer: tracepb.Span_SPAN_KIND_CONSUMER,
}

// flags are those of the W3C trace context, and whether the span is of another process.
func flags(of trace.SpanContext) uint32 {
	all := uint32(of.TraceFlags()) | uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	if of.IsRemote() {
		all |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	return all
}

func status(of sdk.Status) *tracepb.Status {
	switch of.Code {
	case codes.Error:
		return &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: of.Description}
	case codes.Ok:
		return &tracepb.Status{Code: tracepb.Status_STATUS_CODE_OK}
	}
	return nil
}

func attributes(all []attribute.KeyValue) []*common.KeyValue {
	list := make([]*common.KeyValue, len(all))
	for i, one := range all {
		list[i] = &common.KeyValue{Key: string(one.Key), Value: value(one.Value)}
	}
	return list
}

// value encodes an attribute's value; a list as text, because Onhand sets none.
func value(of attribute.Value) *common.AnyValue {
	switch of.Type() {
	case attribute.INT64:
		return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: of.AsInt64()}}
	case attribute.BOOL:
		return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: of.AsBool()}}
	case attribute.FLOAT64:
		return &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: of.AsFloat64()}}
	}
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: of.String()}}
}
