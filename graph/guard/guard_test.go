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
	"go.uber.org/goleak"

	"onhand/graph/guard"
)

// TestMain fails on leaked goroutines.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBody: a body of the largest size passes whole. One byte more is refused, with or
// without a Content-Length. A body that ends early is BAD_USER_INPUT.
func TestBody(t *testing.T) {
	t.Parallel()
	fits, large := strings.Repeat("x", guard.BodyBytesMax), strings.Repeat("x", guard.BodyBytesMax+1)
	for name, test := range map[string]struct {
		body   io.Reader
		size   int64
		status int
	}{
		"fits":             {strings.NewReader(fits), guard.BodyBytesMax, http.StatusOK},
		"fits, no length":  {strings.NewReader(fits), -1, http.StatusOK},
		"empty":            {http.NoBody, 0, http.StatusOK},
		"too large":        {strings.NewReader(large), guard.BodyBytesMax + 1, http.StatusRequestEntityTooLarge},
		"large, no length": {strings.NewReader(large), -1, http.StatusRequestEntityTooLarge},
		"ends early":       {io.MultiReader(strings.NewReader("{"), iotest.ErrReader(errors.New("read tcp 10.0.0.1:80: reset"))), -1, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", test.body)
			r.ContentLength = test.size
			w := httptest.NewRecorder()
			guard.Body(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				assert.Equal(t, http.StatusOK, test.status, "the handler got a refused body")
				got, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.True(t, test.size == 0 && len(got) == 0 || bytes.Equal([]byte(fits), got))
			}), nil).ServeHTTP(w, r)
			assert.Equal(t, test.status, w.Code)
			if test.status != http.StatusOK {
				assert.Equal(t, "BAD_USER_INPUT", code(t, w))
				assert.NotContains(t, w.Body.String(), "10.0.0.1")
			}
		})
	}
}
