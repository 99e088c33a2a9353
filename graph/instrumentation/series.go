package instrumentation

import (
	"context"
	"crypto/sha256"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

const (
	// namesMax bounds the names of operations with series of their own.
	namesMax = 100
	// nameBytesMax bounds the length of such a name.
	nameBytesMax = 64
	// anonymousName is the label of operations without a name.
	anonymousName = "anonymous"
	// otherPrefix begins the label of names without series of their own: the first digit of
	// the SHA-256 of the name's first nameBytesMax bytes follows, so that they share otherLabels
	// series. GraphQL has no such name.
	otherPrefix, otherLabels = "other-", len(otherDigits)
	otherDigits              = "0123456789abcdef"
)

// seriesKey names the series of an operation.
type seriesKey struct {
	kind ast.Operation
	name string
}

// operationSeconds is the histogram of operations. It is safe for concurrent use.
type operationSeconds struct {
	histogram *prometheus.HistogramVec
	trusted   func(document string) bool
	names     func(context.Context) bool

	known atomic.Pointer[map[seriesKey]prometheus.Observer] // replaced, never changed
	mu    sync.Mutex                                        // of a replacement

	otherQueries, otherMutations [otherLabels]otherSeries
}

// otherSeries are the series that the names of one digit share. They are made when there is such
// a name.
type otherSeries struct {
	made     sync.Once
	observer prometheus.Observer
}

func newOperationSeconds(config OperationsConfig) *operationSeconds {
	s := &operationSeconds{trusted: config.Trusted, names: config.Names, histogram: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "onhand_graphql_operation_duration_seconds",
		Help:    "Time until a query or mutation was executed, by its type and name. A name without series of its own counts by a digit of the hash of its first 64 bytes, as other-0 to other-f; an operation without a name as anonymous.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
	}, []string{"type", "operation"})}
	known := map[seriesKey]prometheus.Observer{}
	for _, kind := range []ast.Operation{ast.Query, ast.Mutation} {
		known[seriesKey{kind, ""}] = s.histogram.WithLabelValues(string(kind), anonymousName)
	}
	s.known.Store(&known)
	return s
}

// observe notes how long an operation of a document took.
func (s *operationSeconds) observe(ctx context.Context, operation *ast.OperationDefinition, document string, took time.Duration) {
	series := s.of(ctx, operation, document)
	if exemplar := exemplarOf(ctx); exemplar != nil {
		series.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), exemplar)
		return
	}
	series.Observe(took.Seconds())
}

// of returns the series of an operation.
func (s *operationSeconds) of(ctx context.Context, operation *ast.OperationDefinition, document string) prometheus.Observer {
	key := seriesKey{operation.Operation, operation.Name}
	known := *s.known.Load()
	if series := known[key]; series != nil {
		return series
	}
	if len(key.name) > nameBytesMax || len(known) >= namesMax || !s.mayAdd(ctx, document) {
		return s.other(key)
	}
	return s.add(key)
}

// other returns the series that a name shares.
func (s *operationSeconds) other(key seriesKey) prometheus.Observer {
	series := &s.otherQueries
	if key.kind == ast.Mutation {
		series = &s.otherMutations
	}
	var name [nameBytesMax]byte
	digit := sha256.Sum256(name[:copy(name[:], key.name)])[0] >> 4
	shared := &series[digit]
	shared.made.Do(func() {
		shared.observer = s.histogram.WithLabelValues(string(key.kind), otherPrefix+otherDigits[digit:digit+1])
	})
	return shared.observer
}

// mayAdd reports whether an operation may give its name series of its own.
func (s *operationSeconds) mayAdd(ctx context.Context, document string) bool {
	if s.trusted != nil {
		return s.trusted(document)
	}
	return s.names == nil || s.names(ctx)
}

// add gives a name series of its own, if there is room.
func (s *operationSeconds) add(key seriesKey) prometheus.Observer {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := *s.known.Load()
	if series := known[key]; series != nil {
		return series
	}
	if len(known) >= namesMax {
		return s.other(key)
	}
	more := maps.Clone(known)
	more[key] = s.histogram.WithLabelValues(string(key.kind), key.name)
	s.known.Store(&more)
	return more[key]
}

// bounded is a name for a span or a line of the log. GraphQL's grammar keeps other
// characters out of names.
func bounded(name string) string { return name[:min(len(name), nameBytesMax)] }

// otherCode is the label of a code that the API does not have.
const otherCode = "OTHER"

// apiCodes are the codes of top-level errors.
var apiCodes = []string{
	string(models.CodeBadUserInput), string(models.CodeUnauthenticated), string(models.CodeForbidden), string(models.CodeRateLimited),
	string(models.CodeUnavailable), string(models.CodeInternal), string(models.CodePersistedQueryNotFound), string(models.CodePersistedQueryNotSupported),
	errcode.ParseFailed, errcode.ValidationFailed, otherCode,
}

// errorCounts count top-level errors by code.
type errorCounts struct {
	total  *prometheus.CounterVec
	byCode map[string]prometheus.Counter
}

func newErrorCounts() *errorCounts {
	c := &errorCounts{byCode: map[string]prometheus.Counter{}, total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "onhand_graphql_errors_total", Help: "Top-level errors of GraphQL responses, by code. Business errors are data: onhand_write_refusals_total counts them.",
	}, []string{"code"})}
	for _, code := range apiCodes {
		c.byCode[code] = c.total.WithLabelValues(code)
	}
	return c
}

// count counts the errors of a response; nil where the client has gone.
func (c *errorCounts) count(response *graphql.Response) {
	if response == nil {
		return
	}
	for _, err := range response.Errors {
		counter := c.byCode[codeOf(err)]
		if counter == nil {
			counter = c.byCode[otherCode]
		}
		counter.Inc()
	}
}

// codeOf returns the code of an error.
func codeOf(err *gqlerror.Error) string {
	code, _ := err.Extensions["code"].(string)
	return code
}
