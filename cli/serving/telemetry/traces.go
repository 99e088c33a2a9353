package telemetry

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"onhand/cli/serving/telemetry/otlp"
	"onhand/tracing"
)

// TraceSettings say which requests are traced, and where the spans go. The names are those
// of OpenTelemetry.
type TraceSettings struct {
	Endpoint           string  `name:"otel-exporter-otlp-endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" placeholder:"URL" help:"A collector of traces that speaks OTLP over HTTP: http://collector:4318. Without it there are no traces." more:"[traces](operators.md#traces)"`
	Headers            string  `name:"otel-exporter-otlp-headers" env:"OTEL_EXPORTER_OTLP_HEADERS" placeholder:"HEADERS" help:"Headers for the collector: name=value,name=value, the values percent-encoded. A flag is visible to other users of the machine: use the variable or the file."`
	HeadersFile        string  `name:"otel-exporter-otlp-headers-file" env:"OTEL_EXPORTER_OTLP_HEADERS_FILE" placeholder:"PATH" help:"A file with the value of OTEL_EXPORTER_OTLP_HEADERS."`
	Certificate        string  `name:"otel-exporter-otlp-certificate" env:"OTEL_EXPORTER_OTLP_CERTIFICATE" placeholder:"PATH" help:"A PEM file of the certificates that the collector's may be signed with."`
	ServiceName        string  `name:"otel-service-name" env:"OTEL_SERVICE_NAME" default:"onhand" help:"The name of this service in traces."`
	ResourceAttributes string  `name:"otel-resource-attributes" env:"OTEL_RESOURCE_ATTRIBUTES" placeholder:"ATTRIBUTES" help:"Attributes of this process in traces: name=value,name=value, the values percent-encoded."`
	SampleRatio        float64 `name:"traces-sample-ratio" env:"TRACES_SAMPLE_RATIO" default:"0.01" help:"The part of the requests that is traced, 0 to 1. A trusted proxy may decide by its traceparent."`
}

// tracesPath is where a collector takes traces, below its endpoint.
const tracesPath = "v1/traces"

// attributesMax bounds the attributes of the process, and the headers for the collector.
const attributesMax = 64

// flushTimeout bounds the last export of a server that ends.
const flushTimeout = 3 * time.Second

// Check refuses settings that can never work.
func (s *TraceSettings) Check() error {
	if s.SampleRatio < 0 || s.SampleRatio > 1 {
		return fmt.Errorf("traces-sample-ratio %v must be between 0 and 1", s.SampleRatio)
	}
	_, headersErr := s.headers()
	_, attributesErr := pairs(s.ResourceAttributes)
	if attributesErr != nil {
		attributesErr = fmt.Errorf("otel-resource-attributes: %w", attributesErr)
	}
	_, endpointErr := s.url()
	_, certificateErr := s.roots()
	return errors.Join(headersErr, attributesErr, endpointErr, certificateErr)
}

// url is where spans are sent; empty for nowhere. It may have a secret.
func (s *TraceSettings) url() (string, error) {
	if s.Endpoint == "" {
		return "", nil
	}
	endpoint, err := url.Parse(s.Endpoint)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https" {
		return "", errors.New("otel-exporter-otlp-endpoint must be the URL of a collector such as http://collector:4318")
	}
	return endpoint.JoinPath(tracesPath).String(), nil
}

// origin is the part of a URL that may be logged: its scheme and host.
func origin(target string) string {
	whole, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: whole.Scheme, Host: whole.Host}).String()
}

// roots are the certificates of the setting; nil for those of the system.
func (s *TraceSettings) roots() (*x509.CertPool, error) {
	if s.Certificate == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.Certificate)
	if err != nil {
		return nil, fmt.Errorf("otel-exporter-otlp-certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("otel-exporter-otlp-certificate has no certificate in PEM")
	}
	return roots, nil
}

// pairs reads name=value,name=value with percent-encoded values.
func pairs(text string) (map[string]string, error) {
	found := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil || len(found) >= attributesMax {
			return nil, errors.New("must be name=value,name=value")
		}
		found[name] = value
	}
	return found, nil
}

// Traces makes spans, and sends them to a collector. nil makes none.
type Traces struct {
	provider *sdk.TracerProvider
	exporter *otlp.Exporter // nil in tests
}

// Open begins to trace; nil where no endpoint is set. Open the store after it: its
// connections make spans too. The settings were checked.
func (s *TraceSettings) Open(log *slog.Logger) *Traces {
	target, _ := s.url()
	if target == "" {
		return nil
	}
	headers, _ := s.headers()
	roots, _ := s.roots()
	exporter := otlp.New(otlp.ExporterConfig{URL: target, Headers: headers, Roots: roots, Log: log})
	t := s.traces(sdk.WithBatcher(exporter))
	t.exporter = exporter
	log.Info("traces are sent", "endpoint", origin(target), "ratio", s.SampleRatio)
	return t
}

// traces makes spans that a processor gets.
func (s *TraceSettings) traces(processor sdk.TracerProviderOption) *Traces {
	attributes, _ := pairs(s.ResourceAttributes)
	all := []attribute.KeyValue{attribute.String("service.name", s.ServiceName), attribute.String("service.version", buildOf().version)}
	if host, err := os.Hostname(); err == nil {
		all = append(all, attribute.String("host.name", host))
	}
	for name, value := range attributes {
		all = append(all, attribute.String(name, value))
	}
	tracing.Enable()
	return &Traces{provider: sdk.NewTracerProvider(sdk.WithResource(resource.NewSchemaless(all...)), sdk.WithSampler(newSampler(s.SampleRatio)), processor)}
}

// Tracer makes the spans of requests; nil for none.
func (t *Traces) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(tracing.Scope)
}

// Collectors are the metrics of traces.
func (t *Traces) Collectors() []prometheus.Collector {
	if t == nil || t.exporter == nil {
		return nil
	}
	counter := func(outcome string, read func() int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "onhand_trace_spans_total", Help: "Spans by whether the collector has taken them: sent or lost.",
			ConstLabels: prometheus.Labels{"outcome": outcome},
		}, func() float64 { return float64(read()) })
	}
	return []prometheus.Collector{
		counter("sent", func() int64 { sent, _ := t.exporter.Spans(); return sent }),
		counter("lost", func() int64 { _, lost := t.exporter.Spans(); return lost }),
	}
}

// Close sends the spans that wait, and ends.
func (t *Traces) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the exporter logs why
}
