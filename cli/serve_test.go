package cli

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/cli/serving"
	"onhand/models"
	"onhand/store"
)

// usualSettings are the defaults with this address.
func usualSettings(t *testing.T, address string) (s serving.Settings) {
	t.Helper()
	parser, err := kong.New(&s)
	require.NoError(t, err)
	_, err = parser.Parse([]string{"--listen-addr=" + address})
	require.NoError(t, err)
	return s
}

func withReplica(s serving.Settings, url string) serving.Settings {
	s.DatabaseReadURL = url
	return s
}

func withListener(s serving.Settings, url string) serving.Settings {
	s.DatabaseListenURL = url
	return s
}

// TestServeRefuses: settings that can never work are refused before a connection
// is opened, with the reason.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	const ttl, ttlMax = 15 * time.Minute, 24 * time.Hour
	for name, test := range map[string]struct {
		settings serving.Settings
		want     string
	}{
		"every address":          {serving.Settings{ListenAddr: "0.0.0.0:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "a loopback address such as"},
		"how to make a secret":   {serving.Settings{ListenAddr: "0.0.0.0:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "openssl rand -hex 32"},
		"every address, IPv6":    {serving.Settings{ListenAddr: "[::]:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "a loopback address such as"},
		"every address, short":   {serving.Settings{ListenAddr: ":8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "a loopback address such as"},
		"a network's address":    {serving.Settings{ListenAddr: "192.168.1.5:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "a loopback address such as"},
		"a name":                 {serving.Settings{ListenAddr: "example.com:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "a loopback address such as"},
		"a name that looks like": {serving.Settings{ListenAddr: "localhost.example.com:8080", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "a loopback address such as"},
		"nothing":                {serving.Settings{ListenAddr: "", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "a loopback address such as"},
		"brackets":               {serving.Settings{ListenAddr: "[", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "a loopback address such as"},
		"no port":                {usualSettings(t, "127.0.0.1"), "missing port"},
		"a port too high":        {usualSettings(t, "127.0.0.1:99999"), "invalid port"},
		"no ttl":                 {serving.Settings{ListenAddr: "127.0.0.1:0", ReservationTTL: 0, ReservationTTLMax: ttlMax}, "reservation-ttl 0s must be between 1s and"},
		"a negative ttl":         {serving.Settings{ListenAddr: "127.0.0.1:0", ReservationTTL: -ttl, ReservationTTLMax: ttlMax}, "reservation-ttl -15m0s must be between"},
		"too short a ttl":        {serving.Settings{ListenAddr: "127.0.0.1:0", ReservationTTL: time.Second - 1, ReservationTTLMax: ttlMax}, "must be between 1s and"},
		"too long a ttl":         {serving.Settings{ListenAddr: "127.0.0.1:0", ReservationTTL: ttlMax + 1, ReservationTTLMax: ttlMax}, "reservation-ttl-max 24h0m0s"},
		"no longest ttl":         {serving.Settings{ListenAddr: "127.0.0.1:0", ReservationTTL: ttl, ReservationTTLMax: 0}, "reservation-ttl-max 0s"},
		"a replica of SQLite":    {withReplica(usualSettings(t, "127.0.0.1:0"), "postgres://u:hunter2@standby/shop"), "SQLite has none"},
		"to listen at SQLite":    {withListener(usualSettings(t, "127.0.0.1:0"), "postgres://u:hunter2@primary/shop"), "SQLite has no notifications"},
		"no lag":                 {withReplica(serving.Settings{ListenAddr: "127.0.0.1:0", ReservationTTL: ttl, ReservationTTLMax: ttlMax}, "postgres://standby/shop"), "read-replica-lag-max 0s must be between 1ms and 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := (&serveCommand{test.settings}).Run(t.Context(), &settings{DatabaseURL: "sqlite::memory:", LogLevel: "error"}, io.Discard)
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
