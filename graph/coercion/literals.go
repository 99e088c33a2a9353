package coercion

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// RuleName is the rule of the errors of literals. It is the name that GraphQL's
// specification gives it.
const RuleName = "ValuesOfCorrectType"

// Rules returns the rules of validation, with gqlparser's own rule for literals
// replaced.
func Rules() *rules.Rules {
	all := rules.NewDefaultRules()
	all.ReplaceRule(RuleName, literals)
	return all
}

// SilentRules returns the same rules, whose errors suggest no names of the schema.
func SilentRules() *rules.Rules {
	all := rules.NewDefaultRules()
	all.ReplaceRule(RuleName, silentLiterals)
	for name, rule := range map[string]core.Rule{
		"FieldsOnCorrectType": rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		"KnownArgumentNames":  rules.KnownArgumentNamesRuleWithoutSuggestions,
		"KnownTypeNames":      rules.KnownTypeNamesRuleWithoutSuggestions,
		"ScalarLeafs":         rules.ScalarLeafsRuleWithoutSuggestions,
	} {
		all.ReplaceRule(name, rule.RuleFunc)
	}
	return all
}

func literals(observers *core.Events, addError core.AddErrFunc) {
	checkLiterals(observers, addError, false)
}

func silentLiterals(observers *core.Events, addError core.AddErrFunc) {
	checkLiterals(observers, addError, true)
}

// checkLiterals checks the literals of a document: arguments of fields and directives, and
// the defaults of variables.
func checkLiterals(observers *core.Events, addError core.AddErrFunc, silent bool) {
	seen := map[*ast.Value]bool{} // a fragment is walked once for each operation that uses it
	check := func(schema *ast.Schema, name string, path ast.PathName, t *ast.Type, value *ast.Value) {
		if seen[value] {
			return
		}
		seen[value] = true
		c := coercer{schema: schema, literal: true, silent: silent, path: ast.Path{path}}
		if _, problem := c.value(t, sentOf(value)); problem != "" {
			addError(core.Message("%s", c.message(name, problem)), core.At(value.Position))
		}
	}
	arguments := func(schema *ast.Schema, known ast.ArgumentDefinitionList, given ast.ArgumentList) {
		for _, argument := range given {
			if definition := known.ForName(argument.Name); definition != nil {
				check(schema, "argument "+argument.Name, ast.PathName(argument.Name), definition.Type, argument.Value)
			}
		}
	}
	observers.OnField(func(walker *core.Walker, field *ast.Field) {
		if field.Definition != nil {
			arguments(walker.Schema, field.Definition.Arguments, field.Arguments)
		}
	})
	observers.OnDirective(func(walker *core.Walker, directive *ast.Directive) {
		if directive.Definition != nil {
			arguments(walker.Schema, directive.Definition.Arguments, directive.Arguments)
		}
	})
	observers.OnVariable(func(walker *core.Walker, v *ast.VariableDefinition) {
		if v.DefaultValue != nil {
			check(walker.Schema, "default of variable $"+v.Variable, ast.PathName(v.Variable), v.Type, v.DefaultValue)
		}
	})
}

// sentOf converts a literal to what the coercer reads.
func sentOf(value *ast.Value) any {
	switch value.Kind {
	case ast.Variable:
		return variable(value.Raw)
	case ast.IntValue:
		return wholeNumber(value.Raw)
	case ast.FloatValue:
		return fraction(value.Raw)
	case ast.BooleanValue:
		return value.Raw == "true"
	case ast.NullValue:
		return nil
	case ast.EnumValue:
		return bareName(value.Raw)
	case ast.ListValue:
		entries := make([]any, len(value.Children))
		for i, child := range value.Children {
			entries[i] = sentOf(child.Value)
		}
		return entries
	case ast.ObjectValue:
		fields := make(map[string]any, len(value.Children))
		for _, child := range value.Children {
			fields[child.Name] = sentOf(child.Value)
		}
		return fields
	}
	return value.Raw // a string, in one line or in a block
}
