package serving

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/tokens"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/store"
)

// TestQuantityCap: the setting has bounds, and caps what callers without read:inventory see.
func TestQuantityCap(t *testing.T) {
	t.Parallel()
	require.NoError(t, (&quantitySettings{QuantityCap: models.QuantityMax}).check())
	require.Error(t, (&quantitySettings{QuantityCap: models.QuantityMax + 1}).check())
	require.Error(t, (&quantitySettings{QuantityCap: -1}).check())

	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	bearer, closeBearer, err := (&IdentitySettings{AuthSecret: testSecret}).bearer(t.Context(), nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(closeBearer)
	h := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), routeConfig{sites: publicSites(t), bearer: bearer, quantityCap: 3})
	for scope, capped := range map[guard.Scope]bool{"": true, guard.ReadOrders: true, guard.ReadInventory: false} {
		r := local(t, http.MethodGet, "/graphql?query={stock(productId:%2222423%22){quantityAvailable}}")
		r.Host = "shop.example.com"
		if scope != "" {
			token, err := tokens.Mint([]byte(testSecret), tokens.NewToken{Subject: "one", Scopes: []guard.Scope{scope}, Lifetime: time.Hour}, time.Now())
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+token)
		}
		body := served(t, h, r).Body.String()
		if capped {
			assert.Contains(t, body, `"quantityAvailable":3}`, scope)
		} else {
			assert.NotContains(t, body, `"quantityAvailable":3}`, scope)
			assert.Contains(t, body, `"quantityAvailable":`, scope)
		}
	}
}
