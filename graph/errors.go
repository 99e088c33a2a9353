package graph

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// retryAfterMs is the hint that comes with UNAVAILABLE, in milliseconds.
const retryAfterMs = 500

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

func present(ctx context.Context, log *slog.Logger, shown *gqlerror.Error, fault *models.Fault) {
	shown.Message = fault.Message
	shown.Extensions["code"] = string(fault.Code)
	switch fault.Code {
	case models.CodeUnavailable:
		shown.Extensions["retryAfterMs"] = retryAfterMs
		once(ctx, func() { log.WarnContext(ctx, "unavailable", "path", shown.Path.String(), "error", fault) })
	case models.CodeInternal:
		shown.Message = "internal error"
		log.ErrorContext(ctx, "internal error", "path", shown.Path.String(), "error", fault)
	}
}

type outageKey struct{}

// oneOutage lets the outages of one response be logged once: a store that is
// away fails every field that asks it. It is a gqlgen response interceptor.
func oneOutage(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(context.WithValue(ctx, outageKey{}, new(sync.Once)))
}

// once is for errors of one response; those without one are single.
func once(ctx context.Context, log func()) {
	if response, ok := ctx.Value(outageKey{}).(*sync.Once); ok {
		response.Do(log)
		return
	}
	log()
}

// recovered turns a panic into an error the presenter hides.
func recovered(log *slog.Logger) graphql.RecoverFunc {
	return func(ctx context.Context, p any) error {
		log.ErrorContext(ctx, "panic", "value", p, "stack", string(debug.Stack()))
		return &models.Fault{Code: models.CodeInternal, Message: "internal error"}
	}
}
