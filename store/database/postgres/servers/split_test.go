package servers

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Each server of a URL is one, in its order, with the entries of its own TLS alone.
func TestSplit(t *testing.T) {
	t.Parallel()
	for url, want := range map[string][]string{
		"postgres://u@a/shop?sslmode=disable":                                         {"a:5432"},
		"postgres://u:secret@a:1,b:2,a:3/shop?sslmode=prefer":                         {"a:1", "b:2", "a:3"},
		"postgres://u@a,b,a/shop?sslmode=require&target_session_attrs=standby":        {"a:5432", "b:5432"},
		"postgres:///shop?user=u&host=a,b&port=7,8&sslmode=disable&connect_timeout=1": {"a:7", "b:8"},
	} {
		config, err := pgx.ParseConfig(url)
		require.NoError(t, err)
		var found []string
		for _, one := range Split(config) {
			found = append(found, Address(one))
			require.Equal(t, [3]string{config.User, config.Password, config.Database}, [3]string{one.User, one.Password, one.Database})
			for _, other := range one.Fallbacks {
				require.Equal(t, [2]any{one.Host, one.Port}, [2]any{other.Host, other.Port})
				require.NotEqual(t, strings.Contains(url, "prefer"), (one.TLSConfig == nil) == (other.TLSConfig == nil))
			}
		}
		require.Equal(t, want, found, url)
	}
}
