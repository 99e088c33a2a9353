package graph_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"onhand/models"
)

// TestLocationByEitherID: location finds by the shop's own id first, then by the global
// id. Another program may have written an own id with the form of a global one.
func TestLocationByEitherID(t *testing.T) {
	t.Parallel()
	const global = "onhand:Location:bG9uZG9u"
	const question = `query { own: location(id: "london") { id locationId } either: location(id: "onhand:Location:bG9uZG9u") { locationId } }`
	r := ask(t, &fakeStore{}, question)
	assert.JSONEq(t, `{"own": {"id": "onhand:Location:bG9uZG9u", "locationId": "london"}, "either": {"locationId": "london"}}`, string(r.Data))
	r = ask(t, &fakeStore{locations: []models.Location{{LocationID: global, Name: "odd"}}}, question)
	assert.JSONEq(t, `{"own": {"id": "onhand:Location:bG9uZG9u", "locationId": "london"}, "either": {"locationId": "onhand:Location:bG9uZG9u"}}`, string(r.Data))
}
