package transport

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// TestStatus: what was executed has 200. What was not has the status of the media type,
// or one of its code in both.
func TestStatus(t *testing.T) {
	t.Parallel()
	refused := func(code any) *graphql.Response {
		return &graphql.Response{Errors: gqlerror.List{{Message: "no", Extensions: map[string]any{"code": code}}}}
	}
	executed := refused(string(models.CodeUnavailable))
	executed.Data = []byte("null")
	for name, test := range map[string]struct {
		response     *graphql.Response
		plain, newer int
	}{
		"executed":            {&graphql.Response{Data: []byte("{}")}, 200, 200},
		"executed, null":      {executed, 200, 200},
		"invalid":             {refused("GRAPHQL_VALIDATION_FAILED"), 200, 400},
		"bad values":          {refused(string(models.CodeBadUserInput)), 200, 400},
		"without a code":      {&graphql.Response{Errors: gqlerror.List{{Message: "no"}}}, 200, 400},
		"a code that is none": {refused([]string{"x"}), 200, 400},
		"unknown hash":        {refused(string(models.CodePersistedQueryNotFound)), 200, 200},
		"unauthenticated":     {refused(string(models.CodeUnauthenticated)), 401, 401},
		"forbidden":           {refused(string(models.CodeForbidden)), 403, 403},
		"rate limited":        {refused(string(models.CodeRateLimited)), 429, 429},
		"unavailable":         {refused(string(models.CodeUnavailable)), 503, 503},
		"internal":            {refused(string(models.CodeInternal)), 500, 500},
	} {
		assert.Equal(t, test.plain, statusOf(mediaJSON, test.response), name)
		assert.Equal(t, test.newer, statusOf(mediaGraphQL, test.response), name)
	}
}
