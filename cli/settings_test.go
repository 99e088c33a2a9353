package cli

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store"
)

// TestBrokenURLs: a broken URL is refused, and the message has no password.
func TestBrokenURLs(t *testing.T) {
	t.Parallel()
	for _, s := range []settings{
		{DatabaseURL: "mysql://root:hunter2@localhost/x"},
		{DatabaseURL: "postgres://u:hunter2@localhost:port/x"},
		{DatabaseURL: "sqlite:"},
		{DatabaseURL: "sqlite::memory:", RedisURL: "http://u:hunter2@localhost"},
		{DatabaseURL: "sqlite::memory:", RedisURL: "redis://u:hunter2@localhost:port"},
	} {
		st, err := s.open(store.Config{})
		if st != nil {
			st.Close()
		}
		if assert.Error(t, err, "%+v", s) {
			assert.NotContains(t, err.Error(), "hunter2")
		}
	}
}

// TestSettings: flags reach the commands, and bad ones are refused.
func TestSettings(t *testing.T) {
	t.Parallel()
	c, _, err := parse(t, "--listen-addr=127.0.0.1:1", "--reservation-ttl=90s", "--reservation-ttl-max=2h", "--database-url=sqlite:x.db", "--redis-url=redis://r", "--log-level=warn")
	require.NoError(t, err)
	assert.Equal(t, serveCommand{"127.0.0.1:1", 90 * time.Second, 2 * time.Hour}, c.Serve)
	assert.Equal(t, settings{"sqlite:x.db", "redis://r", "warn"}, c.settings)
	assert.True(t, c.logger().Enabled(t.Context(), slog.LevelWarn))
	assert.False(t, c.logger().Enabled(t.Context(), slog.LevelInfo))

	for _, args := range [][]string{
		{"--log-level=loud"}, {"--reservation-ttl=soon"}, {"--reservation-ttl=15"}, {"--no-such-flag"}, {"no-such-command"},
		{"import"}, {"import", "settings.go", "--opening=2"}, {"import", "settings.go", "--format=xml"},
	} {
		_, _, err := parse(t, args...)
		assert.Error(t, err, "%v", args)
	}
}

// TestEverySettingHasItsVariable: each flag of the server has an environment
// variable of the same name.
func TestEverySettingHasItsVariable(t *testing.T) {
	t.Parallel()
	for _, group := range []reflect.Type{reflect.TypeFor[settings](), reflect.TypeFor[serveCommand]()} {
		for i := range group.NumField() {
			tag := group.Field(i).Tag
			want := strings.ToUpper(strings.ReplaceAll(tag.Get("name"), "-", "_"))
			assert.NotEmpty(t, want)
			assert.Equal(t, want, tag.Get("env"))
			assert.NotEmpty(t, tag.Get("help"))
		}
	}
}
