package compiled

import (
	"context"
	"errors"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/loaders"
)

// execution answers one request.
type execution struct {
	request
	reads   Reads
	recover graphql.RecoverFunc
	errs    []error // of the calls
}

// once returns a handler with one response.
func (e *execution) once() graphql.ResponseHandler {
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		e.errs = make([]error, len(e.calls))
		loader := loaders.Of(ctx).Direct()
		e.resolve(ctx, loader)
		if e.loads {
			e.loadProducts(ctx, loader)
		}
		return &graphql.Response{Data: e.write(ctx)}
	}
}

// resolve reads the values of all calls. One call reads at once. Several are asked for
// their ids first, and those that read something else do so meanwhile.
func (e *execution) resolve(ctx context.Context, loader *loaders.Direct) {
	if len(e.calls) == 1 {
		e.call(ctx, 0)
		return
	}
	var others sync.WaitGroup
	defer others.Wait()
	loader.Collect()
	pending := make([]int, 0, len(e.calls))
	for i, c := range e.calls {
		if c.reads() == readsAlone {
			others.Go(func() { e.call(ctx, i) })
		} else if e.call(ctx, i); errors.Is(e.errs[i], loaders.ErrCollecting) {
			pending = append(pending, i)
		}
	}
	loader.Fetch(ctx)
	for _, i := range pending {
		if e.calls[i].reads() == loadsThenReads {
			others.Go(func() { e.call(ctx, i) })
		} else {
			e.call(ctx, i)
		}
	}
}

// loadProducts loads the stock of the products that were not found by their stock.
func (e *execution) loadProducts(ctx context.Context, loader *loaders.Direct) {
	for i, c := range e.calls {
		if e.errs[i] == nil && c.reads() == readsAlone {
			c.load(loader)
		}
	}
	loader.Fetch(ctx)
}

// call resolves a call.
func (e *execution) call(ctx context.Context, i int) {
	defer func() {
		if p := recover(); p != nil {
			e.errs[i] = e.recovered(ctx, i, p)
		}
	}()
	e.errs[i] = e.calls[i].resolve(ctx, e.reads)
}

func (e *execution) write(ctx context.Context) []byte {
	w := writers.Get().(*writer)
	w.ctx, w.reads, w.directory, w.ids, w.limit = ctx, e.reads, e.reads.Directory(), e.ids, e.reads.QuantityCap(ctx)
	defer w.release()
	size := int(e.size.Load())
	b := append(make([]byte, 0, size+size/8+64), '{')
	valid := true
	for i := range e.roots {
		b = append(b, e.roots[i].key...)
		var ok bool
		b, ok = e.writeRoot(w, b, i)
		valid = valid && ok
	}
	if !valid {
		return []byte("null")
	}
	e.size.Store(int64(len(b)))
	return append(b, '}')
}

// writeRoot appends the value of a root field. A field that failed is null.
func (e *execution) writeRoot(w *writer, b []byte, i int) (out []byte, ok bool) {
	root := &e.roots[i]
	start := len(b)
	defer func() {
		if p := recover(); p != nil {
			w.path = w.path[:0]
			graphql.AddError(w.ctx, e.recovered(w.ctx, i, p))
			out, ok = appendNull(b[:start]), !root.field.Definition.Type.NonNull
		}
	}()
	if err := e.errs[i]; err != nil {
		graphql.AddError(w.ctx, located(root.field, err))
		return appendNull(b), !root.field.Definition.Type.NonNull
	}
	w.path = append(w.path, pathStep{field: root.field})
	b, ok = e.calls[i].write(w, b)
	w.path = w.path[:0]
	return b, ok
}

// recovered is the error of a root field that panicked.
func (e *execution) recovered(ctx context.Context, i int, p any) error {
	return gqlerror.WrapPath(ast.Path{ast.PathName(e.roots[i].field.Alias)}, e.recover(ctx, p))
}

// located adds path and location of a root field to the error of its resolver.
func located(field *ast.Field, err error) error {
	if own, ok := errors.AsType[*gqlerror.Error](err); ok {
		return own
	}
	shown := gqlerror.WrapPath(ast.Path{ast.PathName(field.Alias)}, err)
	if at := field.Position; at != nil && at.Line != 0 {
		shown.Locations = []gqlerror.Location{{Line: at.Line, Column: at.Column}}
	}
	return shown
}
