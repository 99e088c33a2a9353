package graph_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph"
	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/store"
)

// Callers of a server that checks tokens.
func init() {
	maps.Copy(identities, map[string]func(http.Handler) http.Handler{
		"guest":    checked,
		"alice":    token("alice"),
		"bob":      token("bob"),
		"service":  token("service", guard.ReadOrders, guard.WriteOrders),
		"lister":   token("lister", guard.ReadOrders),
		"merchant": token("merchant", guard.ReadInventory, guard.WriteInventory),
		"counter":  token("counter", guard.WriteInventory),
	})
}

// checked is an API on a server that checks tokens.
func checked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(guard.WithTokensConfigured(r.Context())))
	})
}

func token(subject string, scopes ...guard.Scope) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return checked(caller(subject, scopes...)(next)) }
}

// longKey is an idempotency key that an anonymous caller may use.
func longKey(name string) string { return name + strings.Repeat("-", 22) }

// reserved reserves mugs as a caller, and returns the reservation's id.
func (s *demoShop) reserved(t *testing.T, as, key, more string) string {
	t.Helper()
	_, body := post(t, s.api, as, request{Query: `mutation { reserveStock(input: {idempotencyKey: "` + longKey(key) + `", ` + more +
		` lines: [{productId: "22423", quantity: 1}]}) { reservation { id } errors { message } } }`})
	id := reservationIDs.FindString(string(body))
	require.NotEmpty(t, id, "%s", body)
	return id
}

// unknownReservation is the id of no reservation.
const unknownReservation = "res_00000000000000000000000000000000"

// readings read a reservation $R, and actions change it.
var (
	readings = map[string]string{
		"reservation": `{ reservation(id: "$R") { id state lines { quantity } } }`,
		"node":        `{ node(id: "$R") { id } }`,
		"line":        `{ node(id: "$L") { id } }`,
		"allocation":  `{ node(id: "$A") { id } }`,
	}
	actions = map[string]string{
		"update":  `mutation { updateReservation(input: {idempotencyKey: "u-$R", id: "$R", lines: [{productId: "22423", quantity: 2}]}) { reservation { id } errors { __typename code message path } } }`,
		"extend":  `mutation { extendReservation(input: {id: "$R"}) { reservation { id } errors { __typename code message path } } }`,
		"claim":   `mutation { claimReservation(input: {id: "$R"}) { reservation { id } errors { __typename code message path } } }`,
		"release": `mutation { releaseReservation(input: {id: "$R"}) { reservation { id } errors { __typename code message path } } }`,
	}
)

// about returns a document about a reservation and its parts.
func about(document, id string) string {
	line := models.LineView{ReservationID: id, ReservationLine: models.ReservationLine{ProductID: "22423"}}
	allocation := models.AllocationView{ReservationID: id, ProductID: "22423", Allocation: models.Allocation{LocationID: "london"}}
	return strings.NewReplacer("$R", id, "$L", line.ID(), "$A", allocation.ID()).Replace(document)
}

// TestReservationsOfOthers: a reservation that was made with a token exists for its subject
// and for callers with the order scope. The answer to any other caller is the one to an
// unknown id.
func TestReservationsOfOthers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i, c := range []struct {
		maker, more string
		reads, acts string // callers for whom it exists
	}{
		{"alice", "", " alice service lister ", " alice service "},
		{"alice", `ownerRef: "bob", `, " alice service lister ", " alice service "},
		{"service", "", " service lister ", " service "},
		{"service", `ownerRef: "alice", `, " service lister ", " service "},
		{"guest", "", " guest alice bob service lister merchant ", " guest alice bob service lister merchant "},
	} {
		for _, as := range []string{"guest", "alice", "bob", "service", "lister", "merchant"} {
			id := s.reserved(t, c.maker, fmt.Sprint(i, as), c.more)
			check := func(name, document, exist string) {
				_, got := post(t, s.api, as, request{Query: about(document, id)})
				_, none := post(t, s.api, as, request{Query: about(document, unknownReservation)})
				same := string(none) == strings.ReplaceAll(string(got), id, unknownReservation)
				assert.Equal(t, !strings.Contains(exist, " "+as+" "), same, "%s of what %s made, by %s: %s", name, c.maker, as, got)
			}
			for name, document := range readings {
				check(name, document, c.reads)
			}
			check("update", actions["update"], c.acts)
			check("extend", actions["extend"], c.acts)
			check("release", actions["release"], c.acts)
			w := watch(t, identities[as](s.api), `subscription { reservationChanged(id: "`+id+`") { id } }`)
			if strings.Contains(c.reads, " "+as+" ") {
				assert.Contains(t, w.next(), id)
				continue
			}
			none := watch(t, identities[as](s.api), `subscription { reservationChanged(id: "`+unknownReservation+`") { id } }`)
			assert.Equal(t, none.next(), w.next())
		}
	}
}

// TestClaimReservation: a subject claims the reservation of a guest. The guest's
// subscription ends, and its id is no permission any more.
func TestClaimReservation(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.reserved(t, "guest", "cart", "")
	w := watch(t, identities["guest"](s.api), `subscription { reservationChanged(id: "`+id+`") { state } }`)
	require.Contains(t, w.next(), "ACTIVE")
	claim := request{Query: `mutation { claimReservation(input: {id: "` + id + `"}) { replayed reservation { subject } errors { code } } }`}
	_, body := post(t, s.api, "guest", claim)
	require.Contains(t, string(body), "UNAUTHENTICATED")
	_, body = post(t, s.api, "alice", claim)
	require.JSONEq(t, `{"data":{"claimReservation":{"replayed":false,"reservation":{"subject":"alice"},"errors":[]}}}`, string(body))
	assert.Equal(t, "complete", w.next())
	_, body = post(t, s.api, "alice", claim)
	assert.JSONEq(t, `{"data":{"claimReservation":{"replayed":true,"reservation":{"subject":"alice"},"errors":[]}}}`, string(body))
	_, body = post(t, s.api, "bob", claim)
	assert.JSONEq(t, `{"data":{"claimReservation":{"replayed":false,"reservation":null,"errors":[{"code":"NOT_FOUND"}]}}}`, string(body))
	for _, as := range []string{"guest", "bob"} {
		_, body = post(t, s.api, as, request{Query: about(readings["reservation"], id)})
		assert.JSONEq(t, `{"data":{"reservation":null}}`, string(body), as)
	}
	_, body = post(t, s.api, "guest", request{Query: `mutation { reserveStock(input: {idempotencyKey: "` + longKey("cart") +
		`", lines: [{productId: "22423", quantity: 1}]}) { reservation { id } errors { code path } } }`})
	assert.JSONEq(t, `{"data":{"reserveStock":{"reservation":null,"errors":[{"code":"NOT_FOUND","path":["input","idempotencyKey"]}]}}}`, string(body),
		"the key of the guest tells nothing of what was claimed")
}

// TestAnonymousKeys: where tokens are checked, the key of a caller without one cannot be
// guessed. Keys belong to their callers.
func TestAnonymousKeys(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := map[string]string{}
	for _, key := range []string{"k", strings.Repeat("k", 21), strings.Repeat("ä", 21), strings.Repeat("k", 22), strings.Repeat("ä", 22)} {
		for _, as := range []string{"", "guest", "alice", "bob"} {
			_, body := post(t, s.api, as, request{Query: `mutation { reserveStock(input: {idempotencyKey: "` + key +
				`", lines: [{productId: "22423", quantity: 1}]}) { reservation { id } errors { code path } } }`})
			id := reservationIDs.FindString(string(body))
			if as == "guest" && len([]rune(key)) < 22 {
				assert.JSONEq(t, `{"data":{"reserveStock":{"reservation":null,"errors":[{"code":"INVALID_INPUT","path":["input","idempotencyKey"]}]}}}`, string(body))
				continue
			}
			require.NotEmpty(t, id, "%s", body)
			if as != "" { // the key of a server without tokens is that of a guest
				assert.Empty(t, made[id], "%s has the reservation of %s", as, made[id])
				made[id] = as
			}
		}
	}
	_, body := post(t, s.api, "guest", request{Query: strings.ReplaceAll(about(actions["update"], unknownReservation), "u-"+unknownReservation, "short")})
	assert.Contains(t, string(body), "INVALID_INPUT")
}

// TestActor: the ledger has the subject of the token.
func TestActor(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.reserved(t, "alice", "a", "")
	for _, as := range []string{"alice", "service"} {
		_, body := post(t, s.api, as, request{Query: about(strings.Replace(actions["update"], "u-", as, 1), id)})
		require.Contains(t, string(body), `"errors":[]`)
	}
	post(t, s.api, "alice", request{Query: about(actions["release"], id)})
	post(t, s.api, "counter", request{Query: `mutation { adjustStock(input: {idempotencyKey: "a", reason: RECEIVED, rows: [{productId: "22423", locationId: "london", delta: 1}]}) { errors { code } } }`})
	_, body := post(t, s.api, "merchant", request{Query: `{ stockMovements(first: 3, filter: {productId: "22423"}) { nodes { reason actor } } }`})
	assert.JSONEq(t, `{"data":{"stockMovements":{"nodes":[{"reason":"RECEIVED","actor":"counter"},{"reason":"RELEASED","actor":"alice"},
		{"reason":"RESERVATION_UPDATED","actor":"alice"}]}}}`, string(body))
}

// TestLedgerAndOrders: without an order scope the ledger tells neither the order of a
// movement nor which movements are those of a reservation.
func TestLedgerAndOrders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id := s.reserved(t, "guest", "a", "")
	_, body := post(t, s.api, "service", request{Query: `mutation { commitReservation(input: {idempotencyKey: "c", id: "` + id + `", orderRef: "order 1"}) { errors { code } } }`})
	require.Contains(t, string(body), `"errors":[]`)
	post(t, s.api, "counter", request{Query: `mutation { adjustStock(input: {idempotencyKey: "a", reason: RECEIVED, referenceDocumentUri: "note 7", rows: [{productId: "22423", locationId: "london", delta: 1}]}) { errors { code } } }`})
	list := request{Query: `{ stockMovements(first: 3, filter: {productId: "22423"}) { nodes { reference reservationId } } }`}
	_, body = post(t, s.api, "merchant", list)
	assert.JSONEq(t, `{"data":{"stockMovements":{"nodes":[{"reference":"note 7","reservationId":null},
		{"reference":null,"reservationId":null},{"reference":null,"reservationId":null}]}}}`, string(body))
	_, body = post(t, s.api, "", list)
	assert.JSONEq(t, `{"data":{"stockMovements":{"nodes":[{"reference":"note 7","reservationId":null},
		{"reference":"order 1","reservationId":"`+id+`"},{"reference":null,"reservationId":"`+id+`"}]}}}`, string(body))
	find := func(reference string) request {
		return request{Query: `{ stockMovements(filter: {reference: "` + reference + `"}) { nodes { reason } } }`}
	}
	for reference, shown := range map[string]string{"note 7": `{"reason":"RECEIVED"}`, "order 1": ""} {
		_, body = post(t, s.api, "merchant", find(reference))
		assert.JSONEq(t, `{"data":{"stockMovements":{"nodes":[`+shown+`]}}}`, string(body))
	}
	_, body = post(t, s.api, "", find("order 1"))
	assert.JSONEq(t, `{"data":{"stockMovements":{"nodes":[{"reason":"COMMITTED"}]}}}`, string(body))
	_, body = post(t, s.api, "merchant", request{Query: `{ stockMovements(filter: {reservationId: "` + id + `"}) { nodes { id } } }`})
	assert.Contains(t, string(body), "FORBIDDEN")
}

// TestLogsHaveNoReservationIDs: whatever happens to a reservation, no log has its id, nor
// the key that made it.
func TestLogsHaveNoReservationIDs(t *testing.T) {
	t.Parallel()
	var log logText
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	st, err := store.Open(store.Config{DatabaseURL: "sqlite:" + t.TempDir() + "/shop", Logger: logger})
	require.NoError(t, err)
	t.Cleanup(st.Close)
	_, err = st.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, fillShop(t.Context(), st))
	require.NoError(t, st.Start())
	s := &demoShop{store: st, closing: transport.NewClosing()}
	s.api = graph.Handler(graph.HandlerConfig{Resolver: &graph.Resolver{Store: st, Log: logger}, Closing: s.closing})

	id := s.reserved(t, "guest", "secret", "")
	hexID := strings.TrimPrefix(id, "res_")
	w := watch(t, identities["guest"](s.api), `subscription { reservationChanged(id: "`+id+`") { state } }`)
	w.next()
	all := func(as string) {
		for _, documents := range []map[string]string{readings, actions} {
			for _, document := range documents {
				post(t, s.api, as, request{Query: about(document, id)})
			}
		}
		post(t, s.api, as, request{Query: `mutation { commitReservation(input: {idempotencyKey: "` + longKey("secret") + `", id: "` + id + `", orderRef: "` + id + `"}) { errors { code } } }`})
	}
	all("guest")
	all("alice")
	all("service")
	st.Close() // the rest fails
	all("service")
	all("guest")
	assert.Contains(t, log.String(), "level=", "something was logged")
	assert.NotContains(t, strings.ToLower(log.String()), hexID)
	assert.NotContains(t, log.String(), longKey("secret"))
}

// logText is a log that is read while it is written.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns what was logged.
func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
