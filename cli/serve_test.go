package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store"
)

// TestServeRefuses: settings that can never work are refused before a connection
// is opened, with the reason.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	const ttl, ttlMax = 15 * time.Minute, 24 * time.Hour
	for name, test := range map[string]struct {
		command serveCommand
		want    string
	}{
		"every address":          {serveCommand{ListenAddr: "0.0.0.0:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "only a loopback address"},
		"every address, IPv6":    {serveCommand{ListenAddr: "[::]:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "only a loopback address"},
		"every address, short":   {serveCommand{ListenAddr: ":8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "only a loopback address"},
		"a network's address":    {serveCommand{ListenAddr: "192.168.1.5:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "only a loopback address"},
		"a name":                 {serveCommand{ListenAddr: "example.com:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "only a loopback address"},
		"a name that looks like": {serveCommand{ListenAddr: "localhost.example.com:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "only a loopback address"},
		"nothing":                {serveCommand{ListenAddr: "", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "only a loopback address"},
		"brackets":               {serveCommand{ListenAddr: "[", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "only a loopback address"},
		"no port":                {serveCommand{ListenAddr: "127.0.0.1", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "missing port"},
		"a port too high":        {serveCommand{ListenAddr: "127.0.0.1:99999", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "invalid port"},
		"no ttl":                 {serveCommand{ListenAddr: "127.0.0.1:0", ReservationTTL: 0, ReservationTTLMax: ttlMax}, "reservation-ttl 0s must be between 1s and"},
		"a negative ttl":         {serveCommand{ListenAddr: "127.0.0.1:0", ReservationTTL: -ttl, ReservationTTLMax: ttlMax}, "reservation-ttl -15m0s must be between"},
		"too short a ttl":        {serveCommand{ListenAddr: "127.0.0.1:0", ReservationTTL: time.Second - 1, ReservationTTLMax: ttlMax}, "must be between 1s and"},
		"too long a ttl":         {serveCommand{ListenAddr: "127.0.0.1:0", ReservationTTL: ttlMax + 1, ReservationTTLMax: ttlMax}, "reservation-ttl-max 24h0m0s"},
		"no longest ttl":         {serveCommand{ListenAddr: "127.0.0.1:0", ReservationTTL: ttl, ReservationTTLMax: 0}, "reservation-ttl-max 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.command.Run(t.Context(), &settings{DatabaseURL: "sqlite::memory:", LogLevel: "error"}, io.Discard)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// TestOnlyAnEmptyShopGetsTheDemo: a database with products is never touched.
func TestOnlyAnEmptyShopGetsTheDemo(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(store.Config{DatabaseURL: "sqlite::memory:"})
	require.NoError(t, err)
	t.Cleanup(st.Close)
	require.NoError(t, prepare(t.Context(), st, false, log))
	demo := func() *models.Stock {
		fresh, err := st.FreshStock(t.Context(), "22423")
		require.NoError(t, err)
		return fresh
	}
	require.Nil(t, demo(), "the demo was not asked for")
	require.NoError(t, prepare(t.Context(), st, true, log))
	first := demo()
	require.NotNil(t, first)
	require.NoError(t, prepare(t.Context(), st, true, log), "a second time")
	assert.Equal(t, first.Version, demo().Version)
}

// TestSlowClients: the server closes the connection of a client that is slow with
// its headers or its body, sends too many headers, does not read its answer, or
// leaves the connection idle. The limits are the program's own, a tenth as long.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		for r.URL.Path == "/endless" {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
	}), slog.New(slog.DiscardHandler))
	for _, limit := range []*time.Duration{&server.ReadHeaderTimeout, &server.ReadTimeout, &server.WriteTimeout, &server.IdleTimeout} {
		require.Positive(t, *limit)
		*limit /= 10
	}
	require.Positive(t, server.MaxHeaderBytes)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	const busy = 2 * time.Second
	var group sync.WaitGroup
	defer group.Wait()
	for name, client := range map[string]struct {
		sends string
		limit time.Duration
		want  string
	}{
		"half a header":    {"GET / HTTP/1.1\r\nHost: a\r\nX-", server.ReadHeaderTimeout, ""},
		"nothing":          {"", server.ReadHeaderTimeout, ""},
		"too much header":  {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 2*headerBytesMax), server.ReadHeaderTimeout, "431"},
		"half a body":      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", server.ReadTimeout, ""},
		"no further asked": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", server.IdleTimeout, "200 OK"},
	} {
		group.Go(func() {
			began := time.Now()
			conn, err := net.Dial("tcp", listener.Addr().String())
			if !assert.NoError(t, err, name) {
				return
			}
			defer conn.Close()
			assert.NoError(t, conn.SetDeadline(began.Add(client.limit+patience)))
			_, _ = fmt.Fprint(conn, client.sends) // the server may close before the end
			answer, err := io.ReadAll(conn)       // until the server closes
			var late net.Error
			assert.False(t, errors.As(err, &late) && late.Timeout(), "%s: the server waits on", name)
			assert.Contains(t, string(answer), client.want, name)
			assert.Less(t, time.Since(began), client.limit+busy, name)
		})
	}
	group.Go(func() { deaf(t, listener.Addr().String(), server.WriteTimeout+patience) })
}

// deaf asks for an endless answer, reads nothing, and waits until the server
// closes the connection.
func deaf(t *testing.T, address string, limit time.Duration) {
	conn, err := net.Dial("tcp", address)
	if !assert.NoError(t, err) {
		return
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
	assert.NoError(t, err)
	// A closed server answers later bytes with a reset, so that sending fails.
	assert.Eventually(t, func() bool {
		_, err := io.WriteString(conn, "x")
		return err != nil
	}, limit, 50*time.Millisecond, "the server writes on")
}
