package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"onhand/store/stockfile"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status             int
		body               string
		kind               string
		retryable, refused bool
	}{
		"data":              {200, `{"data":{"answer":{"replayed":true}}}`, "", false, false},
		"unavailable":       {200, `{"data":null,"errors":[{"message":"m","extensions":{"code":"UNAVAILABLE"}}]}`, "UNAVAILABLE", true, false},
		"rate limited":      {429, `{"errors":[{"message":"m","extensions":{"code":"RATE_LIMITED"}}]}`, "RATE_LIMITED", true, false},
		"bad input":         {422, `{"errors":[{"message":"m","extensions":{"code":"BAD_USER_INPUT"}}]}`, "BAD_USER_INPUT", false, true},
		"internal":          {200, `{"errors":[{"message":"m","extensions":{"code":"INTERNAL"}}]}`, "INTERNAL", false, false},
		"no code":           {200, `{"errors":[{"message":"m"}]}`, "fault without a code", false, false},
		"not GraphQL":       {404, `not found`, "HTTP 404", false, true},
		"bad gateway":       {502, `<html>`, "HTTP 502", true, false},
		"cut off":           {200, `{"data":{"ans`, "HTTP 200", false, false},
		"nothing":           {200, `{}`, "HTTP 200", false, false},
		"data of other use": {200, `{"data":{"answer":7}}`, "HTTP 200", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var data struct{ Answer mutationAnswer }
			err := decode(c.status, []byte(c.body), &data)
			if c.kind == "" {
				require.Nil(t, err)
				require.True(t, data.Answer.Replayed)
				return
			}
			require.NotNil(t, err)
			require.Equal(t, []any{c.kind, c.retryable, c.refused}, []any{err.kind, err.retryable, err.refused})
		})
	}
}

// TestARefusalAfterALostAnswerIsNone: the first attempt may have had its effect.
func TestARefusalAfterALostAnswerIsNone(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if calls.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		reply(w, `{"errors":[{"message":"m","extensions":{"code":"FORBIDDEN"}}]}`)
	}))
	t.Cleanup(server.Close)
	c := newRetryingClient(server.URL, "secret", 1, time.Minute, newKindCounts())
	t.Cleanup(c.close)
	_, err := c.mutate(t.Context(), adjustDocument, nil)
	var failed *callError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "FORBIDDEN", failed.kind)
	require.False(t, failed.refused)
	_, err = c.mutate(t.Context(), adjustDocument, nil)
	require.ErrorAs(t, err, &failed)
	require.True(t, failed.refused)
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	retries := newKindCounts()
	c := newRetryingClient(server.URL, "", 1, time.Hour, retries)
	c.pause = func(context.Context, int) error { return nil }
	_, err := c.mutate(t.Context(), adjustDocument, nil)
	require.ErrorContains(t, err, "network: ")
	require.Equal(t, retriesMax, retries.all()["network"])
	require.EqualValues(t, retriesMax+1, c.calls.Load())

	c.pause = func(context.Context, int) error { return errors.New("over") }
	_, err = c.mutate(t.Context(), adjustDocument, nil)
	require.ErrorContains(t, err, "network: ")
	require.EqualValues(t, retriesMax+2, c.calls.Load())
}

func TestConfig(t *testing.T) {
	t.Parallel()
	file := writeYear(t)
	parse := func(args ...string) (Config, error) {
		var config Config
		parser, err := kong.New(&config, options...)
		require.NoError(t, err)
		_, err = parser.Parse(append(args, "--file", file))
		return config, err
	}
	config, err := parse()
	require.NoError(t, err)
	require.Equal(t, Config{
		URL: "http://127.0.0.1:8080/graphql", File: file, Opening: stockfile.FullOpening, Location: "uk-warehouse", Customers: 32,
		RetryFor: time.Minute, Settle: 10 * time.Second,
	}, config)
	config, err = parse("--opening=0.25", "--speed=3600", "--audit-database=sqlite:x", "--audit-redis=redis://x")
	require.NoError(t, err)
	require.Equal(t, "0.25", config.Opening.String())
	for _, args := range [][]string{
		{"--opening=2"}, {"--customers=0"}, {"--customers=5000"}, {"--speed=-1"}, {"--speed=NaN"}, {"--limit=-1"}, {"--url=shop"},
		{"--retry-for=-1s"}, {"--settle=1h"}, {"--audit-redis=redis://x"},
	} {
		_, err := parse(args...)
		require.Error(t, err, args)
	}
}

func TestKindCountsAreBounded(t *testing.T) {
	t.Parallel()
	c := newKindCounts()
	for i := range 10 * kindsMax {
		c.add(string(rune('a'+i)), 1)
	}
	require.LessOrEqual(t, len(c.all()), kindsMax+1)
	require.Equal(t, 10*kindsMax, c.total())
}
