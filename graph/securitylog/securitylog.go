package securitylog

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"golang.org/x/time/rate"

	"onhand/graph/guard"
	"onhand/models"
)

const (
	// refusalsPerSecond bounds the lines about refusals.
	refusalsPerSecond = 50
	// textBytesMax bounds each text of a client.
	textBytesMax = 100
	// fieldsMax bounds the fields of one line.
	fieldsMax = 20
)

// Recorder is a gqlgen extension. Make it with New.
type Recorder struct {
	log      *slog.Logger
	refusals *rate.Limiter
	leftOut  atomic.Int64
}

var (
	_ graphql.HandlerExtension    = (*Recorder)(nil)
	_ graphql.ResponseInterceptor = (*Recorder)(nil)
)

// New returns a Recorder that writes to a logger.
func New(log *slog.Logger) *Recorder {
	return &Recorder{log: log, refusals: rate.NewLimiter(refusalsPerSecond, refusalsPerSecond)}
}

// ExtensionName implements graphql.HandlerExtension.
func (*Recorder) ExtensionName() string { return "SecurityLog" }

// Validate implements graphql.HandlerExtension.
func (*Recorder) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse implements graphql.ResponseInterceptor.
func (l *Recorder) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)
	if response == nil || !graphql.HasOperationContext(ctx) {
		return response
	}
	operation := graphql.GetOperationContext(ctx)
	if codes := refusalsIn(response); len(codes) > 0 {
		l.refused(ctx, append(attributes(ctx, operation), slog.Any("codes", codes)))
	} else if privileged(ctx, operation) {
		l.log.LogAttrs(ctx, slog.LevelInfo, "privileged operation", append(attributes(ctx, operation), slog.Bool("failed", len(response.Errors) > 0))...)
	}
	return response
}

// RefusedRequest logs that a request was refused before it was read: its token was not
// accepted, or its caller has used up a quota. Other errors, and nil, are not logged.
func (l *Recorder) RefusedRequest(ctx context.Context, err error) {
	var fault *models.Fault
	if errors.As(err, &fault) && isRefusal(fault.Code) {
		l.refused(ctx, []slog.Attr{
			slog.String("subject", guard.Subject(ctx)), slog.String("address", guard.Address(ctx)),
			slog.Any("codes", []string{string(fault.Code)}), slog.String("because", fault.Message),
		})
	}
}

func (l *Recorder) refused(ctx context.Context, line []slog.Attr) {
	if !l.refusals.Allow() {
		l.leftOut.Add(1)
		return
	}
	if n := l.leftOut.Swap(0); n > 0 {
		line = append(line, slog.Int64("left_out", n))
	}
	l.log.LogAttrs(ctx, slog.LevelWarn, "refused", line...)
}

// refusalsIn returns the codes of refused fields and requests, each once.
func refusalsIn(response *graphql.Response) (codes []string) {
	for _, err := range response.Errors {
		code, _ := err.Extensions["code"].(string)
		if isRefusal(models.Code(code)) && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return codes
}

// isRefusal reports whether errors with a code are logged.
func isRefusal(code models.Code) bool {
	return code == models.CodeUnauthenticated || code == models.CodeForbidden || code == models.CodeRateLimited
}

// privileged reports whether a caller with a token and a scope changes something, or reads
// the schema with the scope that this needs.
func privileged(ctx context.Context, operation *graphql.OperationContext) bool {
	if operation.Operation == nil || !guard.TokensConfigured(ctx) || guard.IsAnonymous(ctx) {
		return false
	}
	if operation.Operation.Operation == ast.Mutation {
		return guard.HasAnyScope(ctx)
	}
	return guard.Has(ctx, guard.Admin) && slices.ContainsFunc(fieldsOf(operation), func(name string) bool { return name == "__schema" || name == "__type" })
}

func attributes(ctx context.Context, operation *graphql.OperationContext) []slog.Attr {
	kind, name := "", ""
	if operation.Operation != nil {
		kind, name = string(operation.Operation.Operation), operation.Operation.Name
	}
	return []slog.Attr{
		slog.String("subject", guard.Subject(ctx)), slog.String("address", guard.Address(ctx)),
		slog.String("operation", kind), slog.String("name", bounded(name)), slog.Any("fields", fieldsOf(operation)),
	}
}

// fieldsOf returns the names of the operation's own fields, those of fragments too.
func fieldsOf(operation *graphql.OperationContext) (names []string) {
	if operation.Operation == nil {
		return nil
	}
	spread := map[string]bool{}
	var visit func(ast.SelectionSet)
	visit = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				if len(names) < fieldsMax && !slices.Contains(names, s.Name) {
					names = append(names, s.Name)
				}
			case *ast.InlineFragment:
				visit(s.SelectionSet)
			case *ast.FragmentSpread:
				if s.Definition != nil && !spread[s.Name] {
					spread[s.Name] = true
					visit(s.Definition.SelectionSet)
				}
			}
		}
	}
	visit(operation.Operation.SelectionSet)
	return names
}

// bounded returns a client's text without control characters.
func bounded(text string) string {
	if len(text) > textBytesMax {
		text = text[:textBytesMax]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}
