package guard_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"onhand/graph/guard"
	"onhand/models"
)

// TestMain looks for goroutines that nobody ended.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRequire: anonymous callers are told to sign in, others that they lack
// the scope, and who has it is named.
func TestRequire(t *testing.T) {
	t.Parallel()
	_, err := guard.Require(t.Context(), guard.WriteOrders)
	assert.Equal(t, models.CodeUnauthenticated, models.CodeOf(err))
	assert.ErrorContains(t, err, "write:orders")

	for _, scopes := range [][]guard.Scope{nil, {}, {guard.ReadInventory, guard.WriteInventory}, {"write:order"}, {"write:orders:all"}, {""}} {
		ctx := guard.WithIdentity(t.Context(), guard.Identity{Subject: "erp", Scopes: scopes})
		subject, err := guard.Require(ctx, guard.WriteOrders)
		assert.Equal(t, models.CodeForbidden, models.CodeOf(err), "%v", scopes)
		assert.Empty(t, subject)
	}

	ctx := guard.WithIdentity(t.Context(), guard.Identity{Subject: "erp", Scopes: []guard.Scope{guard.ReadInventory, guard.WriteOrders}})
	subject, err := guard.Require(ctx, guard.WriteOrders)
	require.NoError(t, err)
	assert.Equal(t, "erp", subject)
}

// TestLocalGrantsEverything: on a loopback address.
func TestLocalGrantsEverything(t *testing.T) {
	t.Parallel()
	guard.Local(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for _, scope := range []guard.Scope{guard.ReadInventory, guard.WriteInventory, guard.WriteOrders} {
			subject, err := guard.Require(r.Context(), scope)
			assert.NoError(t, err)
			assert.Equal(t, "local", subject)
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
}

// TestBody: a body of the largest size passes whole, one byte more is refused
// whether or not its size was said, and a body that breaks off is no fault of
// ours.
func TestBody(t *testing.T) {
	t.Parallel()
	fits, large := strings.Repeat("x", guard.BodyBytesMax), strings.Repeat("x", guard.BodyBytesMax+1)
	for name, test := range map[string]struct {
		body   io.Reader
		size   int64
		status int
	}{
		"fits":             {strings.NewReader(fits), guard.BodyBytesMax, http.StatusOK},
		"fits, unsaid":     {strings.NewReader(fits), -1, http.StatusOK},
		"empty":            {http.NoBody, 0, http.StatusOK},
		"too large":        {strings.NewReader(large), guard.BodyBytesMax + 1, http.StatusRequestEntityTooLarge},
		"too large unsaid": {strings.NewReader(large), -1, http.StatusRequestEntityTooLarge},
		"breaks off":       {io.MultiReader(strings.NewReader("{"), iotest.ErrReader(errors.New("read tcp 10.0.0.1:80: reset"))), -1, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", test.body)
			r.ContentLength = test.size
			w := httptest.NewRecorder()
			guard.Body(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				assert.Equal(t, http.StatusOK, test.status, "it came through")
				got, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.True(t, test.size == 0 && len(got) == 0 || bytes.Equal([]byte(fits), got))
			})).ServeHTTP(w, r)
			assert.Equal(t, test.status, w.Code)
			if test.status != http.StatusOK {
				assert.Equal(t, "BAD_USER_INPUT", code(t, w))
				assert.NotContains(t, w.Body.String(), "10.0.0.1")
			}
		})
	}
}
