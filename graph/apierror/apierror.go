package apierror

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"onhand/models"
)

// Clients that were refused at the same moment should not return at the same
// moment: each UNAVAILABLE gets a random delay between these bounds.
const retryAfterMsMin, retryAfterMsMax = 500, 1000

func retryAfterMs() int { return retryAfterMsMin + rand.IntN(retryAfterMsMax-retryAfterMsMin+1) }

// internalMessage is the whole text of an INTERNAL error.
const internalMessage = "internal error"

// Presenter presents every error that leaves the API, and logs what it hides.
func Presenter(log *slog.Logger) graphql.ErrorPresenterFunc {
	outages := newRepeats(log)
	return func(ctx context.Context, err error) *gqlerror.Error {
		shown := graphql.DefaultErrorPresenter(ctx, err)
		if shown.Extensions == nil {
			shown.Extensions = map[string]any{}
		}
		var fault *models.Fault
		switch {
		case errors.As(err, &fault):
			present(ctx, log, outages, shown, fault)
		case shown.Rule == rules.ValuesOfCorrectTypeRule.Name: // a literal; variables have the same code
			shown.Extensions["code"] = string(models.CodeBadUserInput)
		case isDocumentError(shown):
			// gqlgen's own code and message fit the client
		case isRequestError(err, shown):
			shown.Extensions["code"] = string(models.CodeBadUserInput)
		default:
			present(ctx, log, outages, shown, &models.Fault{Code: models.CodeInternal, Cause: err})
		}
		return shown
	}
}

// Over a WebSocket, gqlgen decides by the code whether an error that precedes
// execution is sent as "error" or as a "next" with errors. With this registration
// BAD_USER_INPUT is sent as "error", like gqlgen's own refusals.
func init() { errcode.RegisterErrorType(string(models.CodeBadUserInput), errcode.KindProtocol) }

const (
	// complexityCode is gqlgen's code for a document above the complexity limit.
	complexityCode = "COMPLEXITY_LIMIT_EXCEEDED"
	// multipleFieldsMessage is gqlgen's message for a subscription with several fields.
	multipleFieldsMessage = "must subscribe to exactly one stream"
)

func isDocumentError(shown *gqlerror.Error) bool {
	code := shown.Extensions["code"]
	return code == errcode.ParseFailed || code == errcode.ValidationFailed
}

// isRequestError reports whether gqlgen made the error from the request, rather than
// wrapped an error of a resolver.
func isRequestError(err error, shown *gqlerror.Error) bool {
	if shown.Extensions["code"] == complexityCode || shown.Message == multipleFieldsMessage {
		return true
	}
	var own *gqlerror.Error
	return errors.As(err, &own) && own.Err == nil
}

// present logs first, because fault and shown may be one object. A client that has
// gone is no outage and no error.
func present(ctx context.Context, log *slog.Logger, outages *repeats, shown *gqlerror.Error, fault *models.Fault) {
	message, gone := fault.Message, errors.Is(ctx.Err(), context.Canceled)
	switch {
	case gone && (fault.Code == models.CodeUnavailable || errors.Is(fault, context.Canceled)):
		log.DebugContext(ctx, "a client has gone", "path", shown.Path.String(), "error", fault)
	case fault.Code == models.CodeUnavailable:
		budgetOf(ctx).outage.Do(func() { outages.warn(ctx, fault, shown.Path.String()) })
	case fault.Code == models.CodeInternal && budgetOf(ctx).allowsInternal():
		log.ErrorContext(ctx, "internal error", "path", shown.Path.String(), "error", fault)
	}
	switch fault.Code {
	case models.CodeUnavailable:
		shown.Extensions["retryAfterMs"] = retryAfterMs()
	case models.CodeInternal:
		message = internalMessage
	}
	shown.Message = message
	shown.Extensions["code"] = string(fault.Code)
}

// Recover turns a panic into a fault, and logs its stack.
func Recover(log *slog.Logger) graphql.RecoverFunc {
	return func(ctx context.Context, p any) error {
		if budgetOf(ctx).allowsInternal() {
			log.ErrorContext(ctx, "panic", "value", p, "stack", string(debug.Stack()))
		}
		return &models.Fault{Code: models.CodeInternal, Message: internalMessage}
	}
}
