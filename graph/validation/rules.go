package validation

import (
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"onhand/graph/coercion"
)

const (
	// ErrorsMax is how many errors of a request are told. A few hundred fields can conflict in thousands of pairs.
	ErrorsMax = 10
	// messageBytesMax is the longest message of such an error. Messages repeat names of the document.
	messageBytesMax = 500
	// suggestedBytesMax is the largest document that gets suggestions: a person typed it. Finding them compares each
	// unknown name with all names of its type, letter by letter.
	suggestedBytesMax = 4 << 10
)

// Validate validates a document that is within the limits, and says what its fields are. text is what it was parsed
// from. It returns at most ErrorsMax errors.
func Validate(schema *ast.Schema, document *ast.QueryDocument, text string, suggests bool) gqlerror.List {
	if len(document.Operations) == 0 {
		return refused(gqlerror.Errorf("no operation provided"))
	}
	return refused(validator.ValidateWithRules(schema, document, rulesFor(suggests && len(text) <= suggestedBytesMax))...)
}

func refused(errs ...*gqlerror.Error) gqlerror.List {
	errs = Bound(errs)
	for _, err := range errs {
		errcode.Set(err, errcode.ValidationFailed)
	}
	return errs
}

// Bound keeps the first ErrorsMax errors of a request, and the beginning of their messages.
func Bound(errs gqlerror.List) gqlerror.List {
	errs = errs[:min(len(errs), ErrorsMax)]
	for _, err := range errs {
		if len(err.Message) > messageBytesMax {
			err.Message = strings.ToValidUTF8(err.Message[:messageBytesMax], "") + "…"
		}
	}
	return errs
}

// rulesFor returns the rules, with suggestions or without. They are only read.
func rulesFor(suggests bool) *rules.Rules {
	if suggests {
		return suggesting()
	}
	return silent()
}

var (
	suggesting = sync.OnceValue(func() *rules.Rules { return withOverlapping(coercion.Rules()) })
	silent     = sync.OnceValue(func() *rules.Rules { return withOverlapping(coercion.SilentRules()) })
)

func withOverlapping(all *rules.Rules) *rules.Rules {
	all.ReplaceRule(overlappingRule, overlapping)
	return all
}
