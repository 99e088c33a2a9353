package stockfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"onhand/models"
)

// LocationIndex finds the location that a file means. A shop's file names a
// location by its name, or by its id where no location has that name, so that
// locations with the same name can be written too. Where that is the name of
// another location, the file has the name with the id, as in Shop (leeds). Onhand's own formats use ids.
type LocationIndex struct {
	names   map[string][]string // name to ids
	ids     map[string]bool
	written map[string]string // id to what a shop's file calls it
	meant   map[string]string // and back, where that is neither name nor id
}

// NewLocationIndex indexes all locations.
func NewLocationIndex(locations []models.Location) LocationIndex {
	x := LocationIndex{names: map[string][]string{}, ids: map[string]bool{}, written: map[string]string{}, meant: map[string]string{}}
	for _, l := range locations {
		x.names[l.Name] = append(x.names[l.Name], l.LocationID)
		x.ids[l.LocationID] = true
	}
	byID := slices.SortedFunc(slices.Values(locations), func(a, b models.Location) int { return cmp.Compare(a.LocationID, b.LocationID) })
	for _, l := range byID {
		x.written[l.LocationID] = x.unique(l)
	}
	return x
}

// unique returns a text that means this location and no other. Spreadsheets drop
// blanks at the ends of a name, so such a name is not used.
func (x LocationIndex) unique(l models.Location) string {
	name := strings.TrimSpace(l.Name)
	switch {
	case name == l.Name && name != "" && len(x.names[name]) == 1:
		return name
	case len(x.names[l.LocationID]) == 0 && x.meant[l.LocationID] == "":
		return l.LocationID
	}
	for {
		name = strings.TrimSpace(name + " (" + l.LocationID + ")")
		if len(x.names[name]) == 0 && !x.ids[name] && x.meant[name] == "" {
			x.meant[name] = l.LocationID
			return name
		}
	}
}

// Find returns the id of the location that a cell means in a file of that format.
// A cell that means none is the id of a new location.
//
// Errors: a name that several locations have; an id that no location may have.
func (x LocationIndex) Find(format Format, cell string) (id string, err error) {
	if format != Shop && format != Shop17 {
		return cell, nil
	}
	switch ids := x.names[cell]; {
	case len(ids) == 1:
		return ids[0], nil
	case len(ids) > 1:
		return "", fmt.Errorf("%d locations are called %q; write the id of one", len(ids), cell)
	case x.meant[cell] != "":
		return x.meant[cell], nil
	case x.ids[cell]:
		return cell, nil
	}
	return cell, checkID("Location", cell)
}

// name is what a shop's file calls a location.
func (x LocationIndex) name(l models.Location) string { return x.written[l.LocationID] }
