package stockfile

import (
	"fmt"
	"strings"

	"onhand/models"
)

// LocationIndex finds locations by what a file calls them: a shop's file by name, our own by id. A name that nobody has is
// taken for an id, so that a location whose name is not its own alone can still be written.
type LocationIndex struct {
	ids   map[string]bool
	names map[string][]string // name to ids
}

// NewLocationIndex knows these locations.
func NewLocationIndex(locations []models.Location) LocationIndex {
	p := LocationIndex{ids: map[string]bool{}, names: map[string][]string{}}
	for _, l := range locations {
		p.ids[l.LocationID] = true
		name := strings.TrimSpace(l.Name) // as readers of a file see it
		p.names[name] = append(p.names[name], l.LocationID)
	}
	return p
}

// Find returns the id of the location that a row of the format means. One that is not known keeps the file's word.
//
// Errors: a name that several locations have.
func (p LocationIndex) Find(format Format, called string) (id string, err error) {
	if format != Shop && format != Shop17 {
		return called, nil
	}
	switch ids := p.names[called]; {
	case len(ids) == 1:
		return ids[0], nil
	case len(ids) > 1:
		return "", fmt.Errorf("%d locations are called %q", len(ids), called)
	}
	return called, nil
}

// name is what a shop's file calls a location.
func (p LocationIndex) name(l models.Location) (string, error) {
	for _, word := range []string{strings.TrimSpace(l.Name), l.LocationID} {
		if id, err := p.Find(Shop, word); err == nil && id == l.LocationID && word != "" {
			return word, nil
		}
	}
	return "", fmt.Errorf("the location %s cannot be told apart by its name %q; give it another", l.LocationID, l.Name)
}
