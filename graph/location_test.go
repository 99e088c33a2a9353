package graph_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"onhand/models"
)

// TestLocationByEitherID: location finds by the shop's own id first, then by the global
// id, even where an own id has the form of a global one.
func TestLocationByEitherID(t *testing.T) {
	t.Parallel()
	const global = "Location:bG9uZG9u"
	const question = `query { own: location(id: "london") { id locationId } either: location(id: "Location:bG9uZG9u") { locationId } }`
	r := ask(t, &fakeStore{}, question)
	assert.JSONEq(t, `{"own": {"id": "Location:bG9uZG9u", "locationId": "london"}, "either": {"locationId": "london"}}`, string(r.Data))
	r = ask(t, &fakeStore{locations: []models.Location{{LocationID: global, Name: "odd"}}}, question)
	assert.JSONEq(t, `{"own": {"id": "Location:bG9uZG9u", "locationId": "london"}, "either": {"locationId": "Location:bG9uZG9u"}}`, string(r.Data))
}
