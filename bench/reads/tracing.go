package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"onhand/bench/results"
	"onhand/bench/testbed"
)

// uninstrumentedTag builds a server without ids, metrics and traces of requests.
const uninstrumentedTag = "uninstrumented"

// collectorTimeout bounds how long the collector reads a request.
const collectorTimeout = 10 * time.Second

// measureTracing is measureTurns with a collector of traces, and with a build without instrumentation where a row needs it.
func measureTracing(ctx context.Context, c *readCommand, w workload) (rounds []results.Round, err error) {
	if w.wants(uninstrumented) && c.Uninstrumented == "" {
		program, remove, err := testbed.BuildServer(ctx, uninstrumentedTag)
		if err != nil {
			return nil, err
		}
		defer remove()
		c.Uninstrumented = program
		defer func() { c.Uninstrumented = "" }()
	}
	url, stop, err := startCollector()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	c.collector = url
	return measureTurns(ctx, c, w)
}

// startCollector takes spans, and forgets them. It returns its URL.
func startCollector() (url string, stop func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	collector := &http.Server{ReadTimeout: collectorTimeout, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the client has gone
	})}
	go func() { _ = collector.Serve(listener) }() // it ends with Close
	return "http://" + listener.Addr().String(), collector.Close, nil
}

// traced is the environment of a server that traces this part of its requests.
func (c *readCommand) traced(ratio string) []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.collector, "TRACES_SAMPLE_RATIO=" + ratio}
}
