package federation

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// serviceQueryBytesMax is the largest document that IsServiceQuery looks at. Those of
// gateways have some 200 bytes.
const serviceQueryBytesMax = 1 << 10

// IsServiceQuery reports whether a document reads the schema of the subgraph with
// _service, and nothing else. Each gateway writes it in its own way.
func IsServiceQuery(text string) bool {
	if len(text) > serviceQueryBytesMax {
		return false
	}
	document, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil || len(document.Operations) != 1 || len(document.Fragments) > 0 {
		return false
	}
	operation := document.Operations[0]
	if operation.Operation != ast.Query || len(operation.VariableDefinitions) > 0 || len(operation.SelectionSet) != 1 || !isField(operation.SelectionSet[0], "_service") {
		return false
	}
	for _, below := range operation.SelectionSet[0].(*ast.Field).SelectionSet {
		if !isField(below, "sdl") && !isField(below, "__typename") {
			return false
		}
	}
	return true
}

func isField(selection ast.Selection, name string) bool {
	field, ok := selection.(*ast.Field)
	return ok && field.Name == name && len(field.Directives) == 0
}
