package otlp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/proto"

	"onhand/store/outage"
)

const (
	// requestTimeout bounds one request to the collector.
	requestTimeout = 10 * time.Second
	// attemptsMax bounds the requests with the same spans; retryPause is between two of them.
	attemptsMax = 3
	retryPause  = time.Second
	// answerBytesMax bounds what is read of an answer, so that its connection is used again.
	answerBytesMax = 64 << 10
)

// ExporterConfig says where spans go.
type ExporterConfig struct {
	// URL is that of the collector's traces, such as http://collector:4318/v1/traces. It may
	// have a secret.
	URL string
	// Headers are sent with each request. They may have a secret.
	Headers map[string]string
	// Roots are the certificates that the collector's may be signed with; nil for those of
	// the system.
	Roots *x509.CertPool
	Log   *slog.Logger
}

// Exporter sends spans. Make it with New. It is safe for concurrent use.
type Exporter struct {
	config ExporterConfig
	client *http.Client
	outage *outage.Log
	pause  time.Duration

	sent, lost atomic.Int64
}

var _ sdk.SpanExporter = (*Exporter)(nil)

// New makes an exporter. The collector need not be up.
func New(config ExporterConfig) *Exporter {
	connections := http.DefaultTransport.(*http.Transport).Clone()
	connections.TLSClientConfig = &tls.Config{RootCAs: config.Roots, MinVersion: tls.VersionTLS12}
	e := &Exporter{config: config, pause: retryPause, client: &http.Client{
		Transport: connections, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	e.outage = outage.New("trace collector", config.Log, e.lost.Load)
	return e
}

// Spans returns how many spans the collector has taken, and how many it has not.
func (e *Exporter) Spans() (sent, lost int64) { return e.sent.Load(), e.lost.Load() }

// ExportSpans implements sdk.SpanExporter. It logs an outage itself, and returns no error:
// the SDK would print each.
func (e *Exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body, err := proto.Marshal(message(spans))
	if err == nil {
		err = e.send(ctx, body)
	}
	if err != nil {
		e.lost.Add(int64(len(spans)))
		e.outage.Away(err)
		return nil
	}
	e.sent.Add(int64(len(spans)))
	e.outage.Back()
	return nil
}

// Shutdown implements sdk.SpanExporter.
func (e *Exporter) Shutdown(context.Context) error {
	e.outage.Stop()
	e.client.CloseIdleConnections()
	return nil
}

// errLater is an answer after which the same request may succeed.
var errLater = errors.New("try again")

// send sends a message, again where the collector may take it later.
func (e *Exporter) send(ctx context.Context, body []byte) (err error) {
	for attempt := 1; ; attempt++ {
		if err = e.post(ctx, body); err == nil || !errors.Is(err, errLater) || attempt == attemptsMax {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(e.pause):
		}
	}
}

func (e *Exporter) post(ctx context.Context, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.config.URL, bytes.NewReader(body))
	if err != nil {
		return withoutURL(err)
	}
	for name, value := range e.config.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := e.client.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %w", errLater, withoutURL(err))
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, answerBytesMax)
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%w: the collector answered %s", errLater, answer.Status)
	}
	return fmt.Errorf("the collector answered %s", answer.Status)
}

// withoutURL returns an error without the URL that net/http puts before it: the URL may have
// a secret.
func withoutURL(err error) error {
	for {
		var failed *url.Error
		if !errors.As(err, &failed) {
			return err
		}
		err = failed.Err
	}
}
