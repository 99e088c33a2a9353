package graph_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/generated"
	"onhand/models"
)

// keyedMutations are the mutations that take an idempotency key, with the rest of their
// inputs and the type that they are sent to the store as.
var keyedMutations = map[string]struct {
	rest string
	want models.Write
}{
	"reserveStock":       {`lines: []`, models.Reserve{}},
	"updateReservation":  {`id: "a", lines: []`, models.UpdateReservation{}},
	"commitReservation":  {`id: "a"`, models.Resolve{}},
	"fulfillReservation": {`id: "a"`, models.Resolve{}},
	"cancelReservation":  {`id: "a"`, models.Resolve{}},
	"setStock":           {`reason: OTHER, rows: []`, models.SetStock{}},
	"adjustStock":        {`reason: OTHER, rows: []`, models.Adjust{}},
	"moveStock":          {`reason: OTHER, rows: []`, models.MoveStock{}},
	"upsertProducts":     {`rows: []`, models.UpsertProducts{}},
	"upsertLocations":    {`rows: []`, models.UpsertLocations{}},
	"upsertChannels":     {`rows: []`, models.UpsertChannels{}},
}

// TestKeyTerms: every mutation with an idempotency key hands on key, caller and notAfter.
func TestKeyTerms(t *testing.T) {
	t.Parallel()
	limit := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for mutation, c := range keyedMutations {
		for input, want := range map[string]*time.Time{`notAfter: "2030-01-02T04:04:05+01:00"`: &limit, `notAfter: null`: nil, ``: nil} {
			var sent models.Write
			f := &fakeStore{write: func(w models.Write) (models.WriteResult, error) { sent = w; return models.WriteResult{}, nil }}
			r := ask(t, f, `mutation { `+mutation+`(input: {idempotencyKey: "k", `+c.rest+` `+input+`}) { replayed } }`)
			require.Empty(t, r.Errors, mutation)
			require.IsType(t, c.want, sent, mutation)
			assert.Equal(t, "k", sent.Key(), mutation)
			terms := sent.Terms()
			if want != nil && assert.NotNil(t, terms.NotAfter, mutation) {
				assert.True(t, want.Equal(*terms.NotAfter), mutation)
			} else if want == nil {
				assert.Nil(t, terms.NotAfter, mutation)
			}
			assert.Empty(t, terms.Caller, "without tokens all callers are one")
		}
	}
}

// TestEveryKeyHasTerms: an input has notAfter where it has an idempotency key, and their
// descriptions say scope, life, and what binds.
func TestEveryKeyHasTerms(t *testing.T) {
	t.Parallel()
	keyed := 0
	for name, input := range generated.NewExecutableSchema(generated.Config{}).Schema().Types {
		key, limit := input.Fields.ForName("idempotencyKey"), input.Fields.ForName("notAfter")
		require.Equal(t, key == nil, limit == nil, name)
		if key == nil {
			continue
		}
		keyed++
		assert.False(t, limit.Type.NonNull, name)
		for _, text := range []string{"this operation and to its caller", "48 hours", "Only a success binds it", "because the cause may be gone"} {
			assert.Contains(t, strings.Join(strings.Fields(key.Description), " "), text, name)
		}
		assert.Contains(t, limit.Description, "NOT_AFTER_PASSED", name)
	}
	assert.Len(t, keyedMutations, keyed)
}
