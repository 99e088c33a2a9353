package compiled

import (
	"context"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/viewer"
	"onhand/models"
)

// typename is the field that every object has.
const typename = "__typename"

// object is a type of the schema whose values are a T, with its table of fields.
type object[T any] struct {
	name     string
	abstract []string // the interfaces and unions that have the type
	fields   map[string]tableField[T]
}

// tableField compiles a field of a T to one of two: a scalar, which cannot fail, or a
// nested value. Both are nil where the field is not compiled as it is selected.
type tableField[T any] func(c *compiler, f *collected) (scalarOf[T], nestedOf[T])

// scalarOf appends a scalar.
type scalarOf[T any] func(b []byte, v T) []byte

// nestedOf appends an object, a list, or null. ok is false when the value is null and
// must not be: the object that has the field is null then.
type nestedOf[T any] func(w *writer, b []byte, v T) (out []byte, ok bool)

// compiledObject is the compiled selection of an object.
type compiledObject[T any] struct{ entries []compiledField[T] }

// compiledField is one field of a selection: scalar or nested is set.
type compiledField[T any] struct {
	key    string
	field  *ast.Field
	scalar scalarOf[T]
	nested nestedOf[T]
}

// writer is the state of writing one answer.
type writer struct {
	ctx       context.Context
	reads     Reads
	directory *models.Directory
	limit     viewer.QuantityCap
	ids       []*string // the arguments of fields below the root; see compiler.addID
	path      []pathStep
	level     models.LevelView // the element of a list that is being written
}

// writers are reused, so that an answer needs no allocation but its bytes.
var writers = sync.Pool{New: func() any { return new(writer) }}

// release keeps the writer for another answer, without what this one refers to.
func (w *writer) release() {
	*w = writer{path: w.path[:0]}
	writers.Put(w)
}

// pathStep is a part of the path of a value: a field, or the index of a list's element.
type pathStep struct {
	field *ast.Field
	index int
}

// fieldPath is the path of the field that is being written.
func (w *writer) fieldPath() ast.Path {
	path := make(ast.Path, len(w.path))
	for i, step := range w.path {
		if step.field == nil {
			path[i] = ast.PathIndex(step.index)
		} else {
			path[i] = ast.PathName(step.field.Alias)
		}
	}
	return path
}

// compile compiles a selection; nil when a part of it is not compiled.
func (o *object[T]) compile(c *compiler, set ast.SelectionSet) *compiledObject[T] {
	s := &compiledObject[T]{}
	c.text.WriteByte('{')
	for _, f := range c.collect(set, append([]string{o.name}, o.abstract...)) {
		e := compiledField[T]{key: key(f.Alias, len(s.entries) == 0), field: f.Field}
		c.text.WriteString(f.Alias + ":" + f.Name)
		c.rules.Add(f.Definition)
		if f.Name == typename {
			e.scalar = func(b []byte, _ T) []byte { return appendString(b, o.name) }
		} else if known := o.fields[f.Name]; known != nil {
			e.scalar, e.nested = known(c, f)
		}
		if !c.count() || e.scalar == nil && e.nested == nil {
			return nil
		}
		c.text.WriteByte(',')
		s.entries = append(s.entries, e)
	}
	c.text.WriteByte('}')
	return s
}

// write appends an object. ok is false, and null is appended, when a field that must not
// be null is null. The other fields are written all the same, for their errors.
func (s *compiledObject[T]) write(w *writer, b []byte, v T) (out []byte, ok bool) {
	start := len(b)
	ok = true
	b = append(b, '{')
	for i := range s.entries {
		e := &s.entries[i]
		b = append(b, e.key...)
		if e.scalar != nil {
			b = e.scalar(b, v)
			continue
		}
		w.path = append(w.path, pathStep{field: e.field})
		var valid bool
		b, valid = e.nested(w, b, v)
		w.path = w.path[:len(w.path)-1]
		ok = ok && valid
	}
	if !ok {
		return appendNull(b[:start]), false
	}
	return append(b, '}'), true
}

// writeList appends a list of n objects that must not be null. at returns the element at
// an index.
func writeList[T any](w *writer, b []byte, s *compiledObject[T], n int, at func(i int) T) (out []byte, ok bool) {
	start := len(b)
	ok = true
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		w.path = append(w.path, pathStep{index: i})
		var valid bool
		b, valid = s.write(w, b, at(i))
		w.path = w.path[:len(w.path)-1]
		ok = ok && valid
	}
	if !ok {
		return appendNull(b[:start]), false
	}
	return append(b, ']'), true
}

// writeNullable appends an object, or null where it is nil.
func writeNullable[T any](s *compiledObject[*T], w *writer, b []byte, v *T) []byte {
	if v == nil {
		return appendNull(b)
	}
	b, _ = s.write(w, b, v)
	return b
}

// The forms of table entries.

func plain[T any](write scalarOf[T]) tableField[T] {
	return func(*compiler, *collected) (scalarOf[T], nestedOf[T]) { return write, nil }
}

func text[T any](of func(v T) string) tableField[T] {
	return plain(func(b []byte, v T) []byte { return appendString(b, of(v)) })
}

func optionalText[T any](of func(v T) *string) tableField[T] {
	return plain(func(b []byte, v T) []byte {
		if s := of(v); s != nil {
			return appendString(b, *s)
		}
		return appendNull(b)
	})
}

func number[T any](of func(v T) int) tableField[T] {
	return plain(func(b []byte, v T) []byte { return appendInt(b, of(v)) })
}

func optionalNumber[T any](of func(v T) *int) tableField[T] {
	return plain(func(b []byte, v T) []byte {
		if n := of(v); n != nil {
			return appendInt(b, *n)
		}
		return appendNull(b)
	})
}

func bigNumber[T any](of func(v T) int64) tableField[T] {
	return plain(func(b []byte, v T) []byte { return appendBigInt(b, of(v)) })
}

func truth[T any](of func(v T) bool) tableField[T] {
	return plain(func(b []byte, v T) []byte { return appendBool(b, of(v)) })
}

// one is an object that is never nil.
func one[P, T any](of *object[T], get func(w *writer, v P) T) tableField[P] {
	return func(c *compiler, f *collected) (scalarOf[P], nestedOf[P]) {
		s := of.compile(c, f.selections)
		if s == nil {
			return nil, nil
		}
		return nil, func(w *writer, b []byte, v P) ([]byte, bool) { return s.write(w, b, get(w, v)) }
	}
}

// many is a list of objects that are never nil.
func many[P, T any](of *object[T], length func(v P) int, at func(w *writer, v P, i int) T) tableField[P] {
	return func(c *compiler, f *collected) (scalarOf[P], nestedOf[P]) {
		s := of.compile(c, f.selections)
		if s == nil {
			return nil, nil
		}
		return nil, func(w *writer, b []byte, v P) ([]byte, bool) {
			return writeList(w, b, s, length(v), func(i int) T { return at(w, v, i) })
		}
	}
}
