package serving

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/tokens"
	"onhand/graph/transport"
	"onhand/store"
)

// holderArguments are limits that are reached soon.
var holderArguments = []string{"--holder-reservations-max=2", "--address-reservations-max=3", "--holder-units-max=6", "--address-units-max=6", "--reservation-extensions-max=1"}

// holderLimits are the settings with these arguments.
func holderLimits(t testing.TB, arguments ...string) *holderSettings {
	t.Helper()
	var s holderSettings
	parser, err := kong.New(&s)
	require.NoError(t, err)
	_, err = parser.Parse(arguments)
	require.NoError(t, err)
	return &s
}

// holderShop is a server with limits of holders.
type holderShop struct {
	t    *testing.T
	http http.Handler
	keys int
}

func newHolderShop(t *testing.T, withTokens bool, arguments ...string) *holderShop {
	t.Helper()
	st := demoStore(t, store.Config{HolderLimits: holderLimits(t, arguments...).limits()})
	require.NoError(t, st.Start())
	log := slog.New(slog.DiscardHandler)
	config := routeConfig{sites: localSites(t)}
	if withTokens {
		bearer, closeBearer, err := (&IdentitySettings{AuthSecret: testSecret}).bearer(t.Context(), nil, log)
		require.NoError(t, err)
		t.Cleanup(closeBearer)
		config = routeConfig{sites: publicSites(t), bearer: bearer, proxies: (&proxySettings{TrustedProxies: []string{"192.0.2.0/24"}}).proxies()}
	}
	return &holderShop{t: t, http: routes(st, transport.NewClosing(), log, config)}
}

// shopper is a caller: a subject with scopes, or an address.
type shopper struct {
	subject string
	scopes  []guard.Scope
	address string
	local   bool
}

func (s *holderShop) ask(as shopper, query string) string {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, "/graphql", strings.NewReader(fmt.Sprintf(`{"query":%q}`, query))) // from 192.0.2.1
	r.Header.Set("Content-Type", "application/json")
	r.Host = "shop.example.com"
	switch {
	case as.local:
		r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:50000"
	case as.subject != "":
		token, err := tokens.Mint([]byte(testSecret), tokens.NewToken{Subject: as.subject, Scopes: as.scopes, Lifetime: time.Hour}, time.Now())
		require.NoError(s.t, err)
		r.Header.Set("Authorization", "Bearer "+token)
	default:
		r.Header.Set("X-Forwarded-For", as.address)
	}
	return served(s.t, s.http, r).Body.String()
}

// reserve reserves a product, and returns the answer.
func (s *holderShop) reserve(as shopper, ownerRef, product string, quantity int) string {
	s.t.Helper()
	s.keys++
	return s.ask(as, fmt.Sprintf(`mutation { reserveStock(input: {idempotencyKey: "key %022d", ownerRef: "%s", lines: [{productId: "%s", quantity: %d}]}) {
		reservation { id } errors { code path ... on ReservationLimitError { of: productId limit } ... on QuantityLimitExceededError { productId requested limit periodSeconds } } } }`,
		s.keys, ownerRef, product, quantity))
}

const (
	mugs, jars = "22423", "85123A"

	tooManyReservations = `"errors":[{"code":"TOO_MANY_RESERVATIONS","path":["input","lines"],"of":null,"limit":%d}]`
	tooManyUnits        = `"errors":[{"code":"TOO_MANY_UNITS","path":["input","lines","0","quantity"],"of":"22423","limit":6}]`
)

// TestHolderLimits: a subject, the customer that an order service names, and the address of
// an anonymous caller have limits of their own. What an order service reserves in its own
// name has none.
func TestHolderLimits(t *testing.T) {
	t.Parallel()
	s := newHolderShop(t, true, holderArguments...)
	service := shopper{subject: "service", scopes: []guard.Scope{guard.WriteOrders}}
	for _, c := range []struct {
		as       shopper
		ownerRef string
		most     int
	}{
		{shopper{subject: "alice"}, "", 2},
		{shopper{subject: "bob"}, "carol", 2}, // without the scope an ownerRef is a note
		{service, "alice", 2},
		{service, "carol", 2},
		{shopper{address: "198.51.100.1"}, "carol", 3},
		{shopper{address: "2001:db8::1"}, "", 3},
	} {
		assert.Contains(t, s.reserve(c.as, c.ownerRef, mugs, 7), tooManyUnits)
		for range c.most {
			assert.Contains(t, s.reserve(c.as, c.ownerRef, mugs, 1), `"errors":[]`)
		}
		assert.Contains(t, s.reserve(c.as, c.ownerRef, jars, 1), fmt.Sprintf(tooManyReservations, c.most))
	}
	full := fmt.Sprintf(tooManyReservations, 3)
	assert.Contains(t, s.reserve(shopper{address: "2001:db8::2:3"}, "", jars, 1), full, "the same /64")
	assert.Contains(t, s.reserve(shopper{address: "2001:db8:1::1"}, "", jars, 1), `"errors":[]`)
	assert.Contains(t, s.reserve(shopper{address: "203.0.113.5, 198.51.100.1"}, "", jars, 1), full, "what the proxy wrote counts")
	for range 4 {
		assert.Contains(t, s.reserve(service, "", mugs, 1), `"errors":[]`)
	}
}

// TestExtensionsOverHTTP: a reservation may be extended so often.
func TestExtensionsOverHTTP(t *testing.T) {
	t.Parallel()
	s := newHolderShop(t, true, holderArguments...)
	alice := shopper{subject: "alice"}
	_, rest, found := strings.Cut(s.reserve(alice, "", mugs, 1), `"id":"`)
	require.True(t, found)
	id, _, _ := strings.Cut(rest, `"`)
	extend := func(ttl int) string {
		return s.ask(alice, fmt.Sprintf(`mutation { extendReservation(input: {id: "%s", ttlSeconds: %d}) { errors { code path ... on ReservationLimitError { limit } } } }`, id, ttl))
	}
	assert.Contains(t, extend(3600), `"errors":[]`)
	assert.Contains(t, extend(7200), `"errors":[{"code":"TOO_MANY_EXTENSIONS","path":["input","ttlSeconds"],"limit":1}]`)
}

// TestMaxPerOwner: a merchant limits what each owner gets of a product within a period. An
// order counts as a cart does.
func TestMaxPerOwner(t *testing.T) {
	t.Parallel()
	s := newHolderShop(t, true)
	merchant := shopper{subject: "merchant", scopes: []guard.Scope{guard.WriteInventory}}
	require.Contains(t, s.ask(merchant, `mutation { upsertProducts(input: {idempotencyKey: "limit", rows: [{productId: "22423", maxPerOwner: 2, ownerPeriodSeconds: 3600}]}) {
		products { maxPerOwner ownerPeriodSeconds } errors { code } } }`), `"products":[{"maxPerOwner":2,"ownerPeriodSeconds":3600}],"errors":[]`)
	service := shopper{subject: "service", scopes: []guard.Scope{guard.WriteOrders}}
	for _, c := range []struct {
		as       shopper
		ownerRef string
	}{{shopper{subject: "alice"}, ""}, {service, "alice"}, {shopper{address: "198.51.100.1"}, ""}} {
		_, rest, found := strings.Cut(s.reserve(c.as, c.ownerRef, mugs, 2), `"id":"`)
		require.True(t, found)
		id, _, _ := strings.Cut(rest, `"`)
		refused := `"errors":[{"code":"QUANTITY_LIMIT_EXCEEDED","path":["input","lines","0","quantity"],"productId":"22423","requested":1,"limit":2,"periodSeconds":3600}]`
		assert.Contains(t, s.reserve(c.as, c.ownerRef, mugs, 1), refused)
		require.Contains(t, s.ask(service, fmt.Sprintf(`mutation { commitReservation(input: {idempotencyKey: "order %s", id: "%s"}) { errors { code } } }`, id, id)), `"errors":[]`)
		assert.Contains(t, s.reserve(c.as, c.ownerRef, mugs, 1), refused)
		require.Contains(t, s.ask(service, fmt.Sprintf(`mutation { cancelReservation(input: {idempotencyKey: "cancel %s", id: "%s"}) { errors { code } } }`, id, id)), `"errors":[]`)
		assert.Contains(t, s.reserve(c.as, c.ownerRef, mugs, 1), `"errors":[]`)
	}
}

// TestLocalOwnerRef: without tokens every scope is granted, so an ownerRef names the holder
// there too. What names none has no limits, and no address has any.
func TestLocalOwnerRef(t *testing.T) {
	t.Parallel()
	s := newHolderShop(t, false, holderArguments...)
	local := shopper{local: true}
	for range 2 {
		assert.Contains(t, s.reserve(local, "alice", mugs, 1), `"errors":[]`)
	}
	assert.Contains(t, s.reserve(local, "alice", mugs, 1), fmt.Sprintf(tooManyReservations, 2))
	assert.Contains(t, s.reserve(local, "bob", mugs, 1), `"errors":[]`)
	for range 4 {
		assert.Contains(t, s.reserve(local, "", mugs, 1), `"errors":[]`)
	}
}
