package stockfile

import (
	"fmt"
	"strings"

	"onhand/models"
)

// LocationIndex finds the location that a file means. A shop's file names a
// location by its name, or by its id where no location has that name, so that
// locations with the same name can be written too. Onhand's own formats use ids.
type LocationIndex struct {
	names map[string][]string // name to ids
}

// NewLocationIndex indexes all locations.
func NewLocationIndex(locations []models.Location) LocationIndex {
	x := LocationIndex{names: map[string][]string{}}
	for _, l := range locations {
		name := strings.TrimSpace(l.Name) // as a reader gets it
		x.names[name] = append(x.names[name], l.LocationID)
	}
	return x
}

// Find returns the id of the location with that name in a file of that format. It
// returns the name itself where no location has it.
//
// Errors: a name that several locations have.
func (x LocationIndex) Find(format Format, name string) (id string, err error) {
	if format != Shop && format != Shop17 {
		return name, nil
	}
	switch ids := x.names[name]; {
	case len(ids) == 1:
		return ids[0], nil
	case len(ids) > 1:
		return "", fmt.Errorf("%d locations are called %q", len(ids), name)
	}
	return name, nil
}

// name is what a shop's file calls a location.
func (x LocationIndex) name(l models.Location) (string, error) {
	for _, name := range []string{strings.TrimSpace(l.Name), l.LocationID} {
		if id, err := x.Find(Shop, name); err == nil && id == l.LocationID && name != "" {
			return name, nil
		}
	}
	return "", fmt.Errorf("the location %s cannot be told apart by its name %q; give it another", l.LocationID, l.Name)
}
