package apierror_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/apierror"
	"onhand/models"
)

var errSecret = errors.New("SELECT secret FROM products")

// TestPresenter: every error gets a code, and only faults and gqlgen's own errors
// keep their message.
func TestPresenter(t *testing.T) {
	t.Parallel()
	coded := func(code string) error {
		return &gqlerror.Error{Message: "made by gqlgen", Extensions: map[string]any{"code": code}}
	}
	for name, test := range map[string]struct {
		err           error
		code, message string
	}{
		"fault":              {models.BadInput("no channel %q", "x"), "BAD_USER_INPUT", `no channel "x"`},
		"wrapped fault":      {fmt.Errorf("read: %w", models.Unavailable("later", errSecret)), "UNAVAILABLE", "later"},
		"internal fault":     {&models.Fault{Code: models.CodeInternal, Message: errSecret.Error()}, "INTERNAL", "internal error"},
		"other error":        {errSecret, "INTERNAL", "internal error"},
		"wrapped by gqlgen":  {gqlerror.Wrap(errSecret), "INTERNAL", "internal error"},
		"request":            {gqlerror.Errorf("made by gqlgen"), "BAD_USER_INPUT", "made by gqlgen"},
		"document, parsing":  {coded("GRAPHQL_PARSE_FAILED"), "GRAPHQL_PARSE_FAILED", "made by gqlgen"},
		"document, validity": {coded("GRAPHQL_VALIDATION_FAILED"), "GRAPHQL_VALIDATION_FAILED", "made by gqlgen"},
		"complexity":         {coded("COMPLEXITY_LIMIT_EXCEEDED"), "BAD_USER_INPUT", "made by gqlgen"},
		"several fields":     {errors.New("must subscribe to exactly one stream"), "BAD_USER_INPUT", "must subscribe to exactly one stream"},
	} {
		shown := apierror.Presenter(slog.New(slog.DiscardHandler))(t.Context(), test.err)
		assert.Equal(t, test.code, shown.Extensions["code"], name)
		assert.Equal(t, test.message, shown.Message, name)
		assert.Equal(t, test.code == "UNAVAILABLE", shown.Extensions["retryAfterMs"] != nil, name)
	}
}

// TestLogBudget: each response logs an outage once and at most ten internal errors,
// panics included.
func TestLogBudget(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	for range 2 {
		apierror.BoundLog(t.Context(), func(ctx context.Context) *graphql.Response {
			for range 30 {
				apierror.Presenter(log)(ctx, errSecret)
				assert.Equal(t, models.CodeInternal, models.CodeOf(apierror.Recover(log)(ctx, "boom")))
				apierror.Presenter(log)(ctx, models.Unavailable("later", errSecret))
			}
			return nil
		})
	}
	assert.Equal(t, 2*10, strings.Count(text.String(), "level=ERROR"))
	assert.Equal(t, 2, strings.Count(text.String(), "level=WARN"))
}
