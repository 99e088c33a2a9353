package serving

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"onhand/graph/guard"
	"onhand/store"
	"onhand/store/openingstock"
	"onhand/store/stockfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// localSites is a server's without tokens.
func localSites(t testing.TB) *guard.Sites {
	t.Helper()
	sites, err := (&httpSettings{}).sites(true)
	require.NoError(t, err)
	return sites
}

// publicSites is that of a server with tokens.
func publicSites(t testing.TB) *guard.Sites {
	t.Helper()
	sites, err := (&httpSettings{AllowedHosts: []string{"shop.example.com"}}).sites(false)
	require.NoError(t, err)
	return sites
}

// demoStore is a store in memory with the demo shop; it has not started.
func demoStore(t testing.TB, config store.Config) *store.Store {
	t.Helper()
	config.DatabaseURL = "sqlite::memory:"
	st, err := store.Open(config)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	_, err = st.MigrateWhenUp(t.Context())
	require.NoError(t, err)
	rows, locations, channels := stockfile.Demo()
	_, err = st.Seed(t.Context(), openingstock.OpeningShop{Counts: rows, Locations: locations, Channels: channels, Demo: true})
	require.NoError(t, err)
	return st
}
