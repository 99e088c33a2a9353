package compiled

import (
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/access"
	"onhand/graph/viewer"
	"onhand/models"
)

// StockChanges is a subscription to stockChanged whose events can be rendered.
type StockChanges struct {
	// ProductIDs and Channel are the arguments. They are not checked.
	ProductIDs []string
	Channel    *string
	Selection  *StockSelection
	// Rules are the rules of access of all fields.
	Rules access.Rules
}

// StockSelection is what the events of a subscription show of a stock.
type StockSelection struct {
	// Key is a canonical text of the selection. Selections with equal keys render equal
	// bytes for equal stocks, whatever their documents are.
	Key   string
	key   string
	stock *compiledObject[*models.Stock]
}

// Subscription recognises an operation `subscription { stockChanged(…) { … } }`. ok is
// false where the generated executor has to answer it: for other fields, and for a
// selection that loads stock.
func Subscription(operation *graphql.OperationContext) (s *StockChanges, ok bool) {
	definition := operation.Operation
	if definition.Operation != ast.Subscription {
		return nil, false
	}
	conditions, ok := conditionsOf(definition.SelectionSet, operation.Doc.Fragments)
	if !ok {
		return nil, false
	}
	for _, name := range conditions {
		if _, ok := operation.Variables[name].(bool); !ok {
			return nil, false
		}
	}
	c := &compiler{fragments: operation.Doc.Fragments, variables: operation.Variables, entries: new(atomic.Int32)}
	fields := c.collect(definition.SelectionSet, []string{"Subscription"})
	if len(fields) != 1 || fields[0].Name != "stockChanged" {
		return nil, false
	}
	c.rules.Add(fields[0].Definition)
	stock := types.stock.compile(c, fields[0].selections)
	a := &arguments{field: fields[0].Field, variables: operation.Variables}
	s = &StockChanges{
		ProductIDs: a.ids("productIds"), Channel: a.optionalID("channel"),
		Selection: &StockSelection{Key: fields[0].Alias + c.text.String(), key: "{" + key(fields[0].Alias, true), stock: stock},
		Rules:     c.rules,
	}
	return s, stock != nil && !c.loads && !a.failed
}

// Append appends the data of one event, a JSON object. directory has the names of
// locations; limit bounds the quantities.
func (s *StockSelection) Append(b []byte, stock *models.Stock, directory *models.Directory, limit viewer.QuantityCap) []byte {
	w := writers.Get().(*writer)
	w.directory, w.limit = directory, limit
	b = append(b, s.key...)
	b, _ = s.stock.write(w, b, stock)
	w.release()
	return append(b, '}')
}
