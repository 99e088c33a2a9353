package transport

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/guard"
	"onhand/graph/transport/jsonresponse"
	"onhand/graph/transport/push"
	"onhand/models"
)

// limits are the time limits of a stream.
type limits struct {
	write     time.Duration // for one piece of a message
	message   time.Duration // for a whole message
	init      time.Duration // from the handshake to connection_init
	ping      time.Duration // interval; a client that leaves a ping unanswered for two is cut off
	keepAlive time.Duration // interval of comments on an event stream without events
	connect   time.Duration // from the token of a single connection to its event stream
	refused   time.Duration // for which the operations of a connection with a refused token are answered
	flood     time.Duration // for which a client may send more messages than it should; each waits
	lifetime  time.Duration // of a stream; 0 for that of its bounds
}

var defaultLimits = limits{
	write: 10 * time.Second, message: time.Minute, init: 5 * time.Second,
	ping: 10 * time.Second, keepAlive: 10 * time.Second, connect: 30 * time.Second, refused: 10 * time.Second, flood: 10 * time.Second,
}

// ticksPerLimit is how often the ticker looks at a stream within its shortest limit.
const ticksPerLimit = 8

// tickInterval is the interval of the ticker for streams with these limits.
func (l limits) tickInterval() time.Duration {
	return min(l.init, l.ping, l.keepAlive, l.connect, l.refused, l.lifetime) / ticksPerLimit
}

// operation is one operation of a stream.
type operation struct {
	id     []byte // in JSON; nil where the stream has one operation only
	key    string // the id
	ctx    context.Context
	cancel context.CancelFunc
	over   bool // the client wants no more messages; the stream's mu protects it
	brief  bool // a query or mutation, whose answer is awaited; the stream's mu protects it

	source push.Source // of a pushed operation, which has no goroutine; the stream's mu protects it
	ready  bool        // source may have results; the stream's mu protects it
}

// operationOutlet is where a stream writes the messages of its operations. Each method
// returns when its message is written. next returns false when no more messages are
// wanted.
type operationOutlet interface {
	next(o *operation, response *graphql.Response) (more bool)
	// fail is the last message of an operation that was not executed, or whose
	// execution panicked.
	fail(o *operation, response *graphql.Response)
	complete(o *operation)
}

// pushOutlet is an outlet that needs no goroutine for a subscription.
type pushOutlet interface {
	operationOutlet
	// notify says that an operation may have results. It does not block. now: see push.Offer.
	notify(o *operation, now bool)
	// push takes the results of an operation from a source from now on, and closes it.
	push(o *operation, source push.Source)
}

// prepare parses and validates a request. It returns nil, after the refusal was sent,
// where the operation cannot be executed.
func prepare(exec graphql.GraphExecutor, out operationOutlet, o *operation, params *graphql.RawParams) (prepared *graphql.OperationContext) {
	ctx := graphql.StartOperationTrace(o.ctx)
	defer func() {
		if p := recover(); p != nil {
			prepared = nil
			out.fail(o, panicked(ctx, exec, &graphql.OperationContext{}, p))
			o.cancel()
		}
	}()
	operation, errs := exec.CreateOperationContext(ctx, params)
	if errs == nil {
		return operation
	}
	refuseOperation(exec, out, o, operation, errs)
	return nil
}

// refuseOperation sends the refusal of an operation. Clients look for the refusal of a
// hash in a result.
func refuseOperation(exec graphql.GraphExecutor, out operationOutlet, o *operation, operation *graphql.OperationContext, errs gqlerror.List) {
	defer o.cancel()
	response := exec.DispatchError(graphql.WithOperationContext(o.ctx, operation), errs)
	if !jsonresponse.IsHashRefusal(errs) {
		out.fail(o, response)
		return
	}
	if out.next(o, response) {
		out.complete(o)
	}
}

// run executes an operation and sends its results.
func run(exec graphql.GraphExecutor, out operationOutlet, o *operation, operation *graphql.OperationContext) {
	defer o.cancel()
	ctx := graphql.WithOperationContext(o.ctx, operation)
	defer func() {
		if p := recover(); p != nil {
			out.fail(o, panicked(ctx, exec, operation, p))
		}
	}()
	offer := &push.Offer{}
	pushing, canPush := out.(pushOutlet)
	if canPush && operation.Operation.Operation == ast.Subscription {
		offer.Notify = func(now bool) { pushing.notify(o, now) }
		ctx = push.With(ctx, offer)
	}
	responses, ctx := exec.DispatchOperation(ctx, operation)
	if source := offer.Accepted(); source != nil {
		pushing.push(o, source)
		return
	}
	for {
		response := responses(ctx)
		if o.ctx.Err() != nil {
			return // the client, or the server, ends it; after "complete" clients do not reconnect
		}
		if response == nil {
			out.complete(o)
			return
		}
		if !out.next(o, response) {
			return
		}
	}
}

// panicked returns the answer to an operation that panicked. The error presenter hides
// and logs the cause.
func panicked(ctx context.Context, exec graphql.GraphExecutor, operation *graphql.OperationContext, p any) *graphql.Response {
	err := error(&models.Fault{Code: models.CodeInternal, Cause: fmt.Errorf("panic: %v\n%s", p, debug.Stack())})
	if operation.RecoverFunc != nil {
		err = operation.Recover(ctx, p)
	}
	return exec.DispatchError(graphql.WithOperationContext(ctx, operation), gqlerror.List{gqlerror.WrapIfUnwrapped(err)})
}

// tokenEnded is the last answer to an operation of an event stream whose token has ended.
func tokenEnded(ctx context.Context, exec graphql.GraphExecutor, operation *graphql.OperationContext) *graphql.Response {
	return exec.DispatchError(graphql.WithOperationContext(ctx, operation), gqlerror.List{gqlerror.WrapIfUnwrapped(guard.ErrTokenEnded)})
}
