package compiled

import (
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/access"
)

// query is a compiled operation.
type query struct {
	roots []compiledRoot
	ids   []argument // of fields below the root
	loads bool       // a field below the root loads stock
	rules access.Rules
	// size is the length of the last answer, in bytes.
	size atomic.Int64
}

// compiledRoot is a root field of an operation.
type compiledRoot struct {
	key      string
	field    *ast.Field
	call     call // a copy answers each request
	constant bool // the call has its arguments, which name no variables
}

// query compiles the selection of an operation; nil when a part of it is not compiled.
func (c *compiler) query(set ast.SelectionSet) *query {
	q := &query{}
	for _, f := range c.collect(set, []string{"Query"}) {
		compile := rootFields[f.Name]
		if compile == nil || !c.count() {
			return nil
		}
		c.rules.Add(f.Definition)
		root := compiledRoot{key: key(f.Alias, len(q.roots) == 0), field: f.Field, call: compile(c, f), constant: constant(f.Field)}
		if root.call == nil {
			return nil
		}
		if root.constant {
			root.call = root.call.with(&arguments{field: f.Field})
		}
		if root.call == nil {
			return nil
		}
		q.roots = append(q.roots, root)
	}
	q.ids, q.loads, q.rules = c.ids, c.loads, c.rules
	return q
}

// request is a query with the values of one request.
type request struct {
	*query
	calls []call    // in the order of roots
	ids   []*string // in the order of query.ids
}

// request returns the query with the arguments of a request. ok is false when the
// generated executor has to answer it.
func (q *query) request(variables map[string]any) (r request, ok bool) {
	r = request{query: q, calls: make([]call, len(q.roots))}
	for i := range q.roots {
		root := &q.roots[i]
		if root.constant {
			r.calls[i] = root.call.again()
		} else if r.calls[i] = root.call.with(&arguments{field: root.field, variables: variables}); r.calls[i] == nil {
			return r, false
		}
	}
	if len(q.ids) > 0 {
		r.ids = make([]*string, len(q.ids))
	}
	for i, id := range q.ids {
		a := &arguments{field: id.field, variables: variables}
		if r.ids[i] = a.optionalID(id.name); a.failed {
			return r, false
		}
	}
	return r, true
}
