package apierror_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// TestLogBudget: each response logs at most ten internal errors, panics included, and
// an outage is logged once for all responses.
func TestLogBudget(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	present := apierror.Presenter(log)
	for range 2 {
		apierror.BoundLog(t.Context(), func(ctx context.Context) *graphql.Response {
			for range 30 {
				present(ctx, errSecret)
				assert.Equal(t, models.CodeInternal, models.CodeOf(apierror.Recover(log)(ctx, "boom")))
				present(ctx, models.Unavailable("later", errSecret))
			}
			return nil
		})
	}
	assert.Equal(t, 2*10, strings.Count(text.String(), "level=ERROR"))
	assert.Equal(t, 1, strings.Count(text.String(), "level=WARN"))
}

// lockedBuffer is a log that timers write too.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

// take returns what was written, and empties the buffer.
func (b *lockedBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.text.Reset()
	return b.text.String()
}

// TestOutageLog: of the responses that an outage fails the first is logged, and then
// every 30 s how many there were. After a quiet time the next one is logged again.
func TestOutageLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text lockedBuffer
		present := apierror.Presenter(slog.New(slog.NewTextHandler(&text, nil)))
		respond := func(fault error, times int) {
			for range times {
				apierror.BoundLog(t.Context(), func(ctx context.Context) *graphql.Response {
					for range 5 {
						assert.Equal(t, "UNAVAILABLE", present(ctx, fault).Extensions["code"])
					}
					return nil
				})
			}
		}
		lines := func(wait time.Duration) (messages []string) {
			time.Sleep(wait)
			synctest.Wait()
			for line := range strings.Lines(text.take()) {
				_, message, _ := strings.Cut(line, "level=WARN msg=")
				messages = append(messages, strings.TrimSpace(message))
			}
			return messages
		}
		outage := models.Unavailable("the database cannot be reached", errSecret)
		respond(outage, 100)
		assert.Equal(t, []string{`unavailable path="" error="UNAVAILABLE: the database cannot be reached: SELECT secret FROM products"`}, lines(time.Second))
		respond(models.Unavailable("too many reads", nil), 1)
		assert.Equal(t, []string{`unavailable path="" error="UNAVAILABLE: too many reads"`}, lines(time.Second))
		respond(outage, 1)
		again := `"unavailable, again" message="the database cannot be reached" responses=`
		assert.Equal(t, []string{again + "100 in=30s"}, lines(30*time.Second))
		respond(outage, 7)
		assert.Equal(t, []string{again + "7 in=30s"}, lines(30*time.Second))
		assert.Empty(t, lines(5*time.Minute))
		respond(outage, 1)
		assert.Len(t, lines(time.Second), 1)

		for n := range 1000 {
			respond(models.Unavailable(fmt.Sprint("kind ", n), nil), 1)
		}
		assert.Len(t, lines(time.Second), 100)
		lines(time.Minute)
	})
}

// TestAClientThatHasGone: nothing is logged for a client that has gone, whatever the
// store says of its request then. Its own deadline, or a real error, is logged.
func TestAClientThatHasGone(t *testing.T) {
	t.Parallel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		err  error
		want string
	}{
		"given up":      {gone, models.Unavailable("the request was given up", gone.Err()), ""},
		"no cause":      {gone, models.Unavailable("the database cannot be reached; try again", nil), ""},
		"cancelled":     {gone, fmt.Errorf("read: %w", context.Canceled), ""},
		"another error": {gone, errSecret, "level=ERROR"},
		"late":          {late, models.Unavailable("the database cannot be reached; try again", late.Err()), "level=WARN"},
		"still there":   {t.Context(), models.Unavailable("the database cannot be reached; try again", context.Canceled), "level=WARN"},
	} {
		var text bytes.Buffer
		apierror.Presenter(slog.New(slog.NewTextHandler(&text, nil)))(test.ctx, test.err)
		if test.want == "" {
			assert.Empty(t, text.String(), name)
		}
		assert.Contains(t, text.String(), test.want, name)
	}
}
