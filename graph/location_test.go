package graph_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"onhand/models"
)

// TestLocationTakesEitherID: the shop's own, which wins even where it looks
// like a global one, or the global one.
func TestLocationTakesEitherID(t *testing.T) {
	t.Parallel()
	const global = "Location:bG9uZG9u"
	const question = `query { own: location(id: "london") { id locationId } either: location(id: "Location:bG9uZG9u") { locationId } }`
	r := ask(t, &fakeStore{}, question)
	assert.JSONEq(t, `{"own": {"id": "Location:bG9uZG9u", "locationId": "london"}, "either": {"locationId": "london"}}`, string(r.Data))
	r = ask(t, &fakeStore{places: []models.Location{{LocationID: global, Name: "odd"}}}, question)
	assert.JSONEq(t, `{"own": {"id": "Location:bG9uZG9u", "locationId": "london"}, "either": {"locationId": "Location:bG9uZG9u"}}`, string(r.Data))
}
