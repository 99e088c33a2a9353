package graph

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// retryAfterMin and retryAfterMax bound the hint that comes with UNAVAILABLE, in
// milliseconds. It is drawn for each error: all that a server refused in one
// moment must not come back in one.
const retryAfterMin, retryAfterMax = 500, 1000

func retryAfterMs() int { return retryAfterMin + rand.IntN(retryAfterMax-retryAfterMin+1) }

// presenter makes every error that leaves the API one with a code and a
// message for clients. What it hides it logs.
func presenter(log *slog.Logger) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		shown := graphql.DefaultErrorPresenter(ctx, err)
		if shown.Extensions == nil {
			shown.Extensions = map[string]any{}
		}
		var fault *models.Fault
		switch {
		case errors.As(err, &fault):
			present(ctx, log, shown, fault)
		case shown.Extensions["code"] == errcode.ParseFailed, shown.Extensions["code"] == errcode.ValidationFailed:
			// gqlgen's own words about the document
		case shown.Extensions["code"] == complexityCode:
			shown.Extensions["code"] = string(models.CodeBadUserInput)
		case shown.Message == manyStreams:
			shown.Extensions["code"] = string(models.CodeBadUserInput)
		case ownWords(err):
			shown.Extensions["code"] = string(models.CodeBadUserInput)
		default:
			present(ctx, log, shown, &models.Fault{Code: models.CodeInternal, Cause: err})
		}
		return shown
	}
}

// gqlgen's socket looks at the code that the presenter gave an error of before
// execution: what is no answer goes as "error", as its own refusals do.
func init() { errcode.RegisterErrorType(string(models.CodeBadUserInput), errcode.KindProtocol) }

// complexityCode is gqlgen's name for a document that asks too much.
const complexityCode = "COMPLEXITY_LIMIT_EXCEEDED"

// manyStreams is gqlgen's message for a subscription of several fields.
const manyStreams = "must subscribe to exactly one stream"

// ownWords tells errors that gqlgen made of the request from errors that it
// only wrapped.
func ownWords(err error) bool {
	var made *gqlerror.Error
	return errors.As(err, &made) && made.Err == nil
}

// present logs before it writes over what it shows: the two may be one.
func present(ctx context.Context, log *slog.Logger, shown *gqlerror.Error, fault *models.Fault) {
	message := fault.Message
	switch fault.Code {
	case models.CodeUnavailable:
		shown.Extensions["retryAfterMs"] = retryAfterMs()
		loggedOf(ctx).outage.Do(func() { log.WarnContext(ctx, "unavailable", "path", shown.Path.String(), "error", fault) })
	case models.CodeInternal:
		message = "internal error"
		if loggedOf(ctx).mayLog() {
			log.ErrorContext(ctx, "internal error", "path", shown.Path.String(), "error", fault)
		}
	}
	shown.Message = message
	shown.Extensions["code"] = string(fault.Code)
}

// internalLogsMax is how many internal errors of one response are logged: one
// cause often fails every element of a list.
const internalLogsMax = 10

// logged is what the log was told of one response.
type logged struct {
	outage   sync.Once // a store that is away fails every field that asks it
	internal atomic.Int32
}

type loggedKey struct{}

// boundedLog gives each response a logged of its own. It is a gqlgen response
// interceptor.
func boundedLog(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(context.WithValue(ctx, loggedKey{}, &logged{}))
}

// loggedOf is the response's; errors before any response are single.
func loggedOf(ctx context.Context) *logged {
	if l, ok := ctx.Value(loggedKey{}).(*logged); ok {
		return l
	}
	return &logged{}
}

// mayLog tells whether one more internal error should be logged.
func (l *logged) mayLog() bool { return l.internal.Add(1) <= internalLogsMax }

// recovered turns a panic into an error the presenter hides.
func recovered(log *slog.Logger) graphql.RecoverFunc {
	return func(ctx context.Context, p any) error {
		if loggedOf(ctx).mayLog() {
			log.ErrorContext(ctx, "panic", "value", p, "stack", string(debug.Stack()))
		}
		return &models.Fault{Code: models.CodeInternal, Message: "internal error"}
	}
}
