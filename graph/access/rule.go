package access

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/guard"
	"onhand/models"
)

// Rule is what a directive asks of a caller. The zero Rule asks for a token.
type Rule struct {
	// Scopes are lists of scopes: the caller has all of one list. Nil for any token.
	Scopes [][]string
	// Anonymous is the use that needs no token; empty where a token is needed.
	Anonymous guard.AnonymousUse
}

// Check refuses a caller that breaks the rule.
//
// Errors: UNAUTHENTICATED without a token, FORBIDDEN without a scope.
func (r Rule) Check(ctx context.Context) error {
	anonymous := guard.IsAnonymous(ctx)
	switch {
	case r.Anonymous != "" && (!anonymous || guard.MayAnonymously(ctx, r.Anonymous)):
		return nil
	case anonymous && r.Scopes == nil:
		return &models.Fault{Code: models.CodeUnauthenticated, Message: "sign in first"}
	case anonymous:
		return &models.Fault{Code: models.CodeUnauthenticated, Message: "sign in first; " + r.needs()}
	case r.Scopes == nil || slices.ContainsFunc(r.Scopes, func(all []string) bool { return hasAll(ctx, all) }):
		return nil
	}
	return &models.Fault{Code: models.CodeForbidden, Message: r.needs()}
}

func hasAll(ctx context.Context, scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(scope string) bool { return !guard.Has(ctx, guard.Scope(scope)) })
}

// needs says which scopes are missing.
func (r Rule) needs() string {
	lists := make([]string, len(r.Scopes))
	for i, all := range r.Scopes {
		lists[i] = strings.Join(all, " and ")
	}
	return "this needs scope " + strings.Join(lists, ", or ")
}

// key is equal for equal rules.
func (r Rule) key() string { return fmt.Sprint(r.Scopes, r.Scopes == nil, r.Anonymous) }

// ruleOf returns the rule of a list of directives; ok is false where there is none. Its
// arguments are literals, which the schema's validation has checked.
func ruleOf(directives ast.DirectiveList) (rule Rule, ok bool) {
	for _, directive := range directives {
		switch directive.Name {
		case "authenticated":
			return Rule{}, true
		case "anonymous":
			return Rule{Anonymous: guard.AnonymousUse(directive.Arguments.ForName("use").Value.Raw)}, true
		case "requiresScopes", "argumentRequiresScopes":
			rule.Scopes = [][]string{}
			for _, list := range directive.Arguments.ForName("scopes").Value.Children {
				var all []string
				for _, scope := range list.Value.Children {
					all = append(all, scope.Value.Raw)
				}
				rule.Scopes = append(rule.Scopes, all)
			}
			return rule, true
		}
	}
	return rule, false
}

// Rules are those of an operation, each once.
type Rules []Rule

// Add adds the rule of a field, if it has one.
func (r *Rules) Add(field *ast.FieldDefinition) {
	if field == nil {
		return
	}
	rule, ok := ruleOf(field.Directives)
	if ok && !slices.ContainsFunc(*r, func(known Rule) bool { return known.key() == rule.key() }) {
		*r = append(*r, rule)
	}
}

// Allow reports whether the caller breaks none of the rules.
func (r Rules) Allow(ctx context.Context) bool {
	return !slices.ContainsFunc(r, func(rule Rule) bool { return rule.Check(ctx) != nil })
}

// Table has the rules of a schema by their coordinates: Type.field, Type.field(argument:)
// and Enum.VALUE.
type Table map[string]Rule

// NewTable reads the directives of a schema.
func NewTable(schema *ast.Schema) Table {
	table := Table{}
	add := func(coordinate string, directives ast.DirectiveList) {
		if rule, ok := ruleOf(directives); ok {
			table[coordinate] = rule
		}
	}
	for _, definition := range schema.Types {
		for _, value := range definition.EnumValues {
			add(definition.Name+"."+value.Name, value.Directives)
		}
		for _, field := range definition.Fields {
			add(definition.Name+"."+field.Name, field.Directives)
			for _, argument := range field.Arguments {
				add(definition.Name+"."+field.Name+"("+argument.Name+":)", argument.Directives)
			}
		}
	}
	return table
}

// Check refuses a caller that breaks the rule of a coordinate, which has one.
//
// Errors: UNAUTHENTICATED, FORBIDDEN.
func (t Table) Check(ctx context.Context, coordinate string) error {
	rule, ok := t[coordinate]
	if !ok {
		return &models.Fault{Code: models.CodeInternal, Cause: fmt.Errorf("%s has no rule of access", coordinate)}
	}
	return rule.Check(ctx)
}

// RequiresScopes implements the directive for gqlgen's executor.
func RequiresScopes(ctx context.Context, _ any, next graphql.Resolver, scopes [][]string) (any, error) {
	if err := (Rule{Scopes: scopes}).Check(ctx); err != nil {
		return nil, err
	}
	return next(ctx)
}

// Authenticated implements the directive for gqlgen's executor.
func Authenticated(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
	if err := (Rule{}).Check(ctx); err != nil {
		return nil, err
	}
	return next(ctx)
}

// Anonymous implements the directive for gqlgen's executor.
func Anonymous(ctx context.Context, _ any, next graphql.Resolver, use string) (any, error) {
	if err := (Rule{Anonymous: guard.AnonymousUse(use)}).Check(ctx); err != nil {
		return nil, err
	}
	return next(ctx)
}
