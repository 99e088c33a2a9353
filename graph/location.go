package graph

import "onhand/models"

// location finds a place that stock lies at. The directory may be a moment
// behind; a place it does not know yet is named by its id.
func (r *Resolver) location(id string) *models.Location {
	if l, ok := r.Store.Directory().Location(id); ok {
		return &l
	}
	return &models.Location{LocationID: id, Name: id}
}

// knownLocation finds a place by the shop's own id or, where nothing has that,
// by the global one; nil when it is unknown.
func (r *Resolver) knownLocation(id string) *models.Location {
	directory := r.Store.Directory()
	l, ok := directory.Location(id)
	if kind, key := models.ParseNodeID(id); !ok && kind == models.NodeLocation {
		l, ok = directory.Location(key)
	}
	if !ok {
		return nil
	}
	return &l
}

// pointers gives gqlgen the list it wants.
func pointers[T any](values []T) []*T {
	out := make([]*T, len(values))
	for i := range values {
		out[i] = &values[i]
	}
	return out
}

// values are what gqlgen hands over as pointers; nil for a list that was left out.
func values[T any](pointers []*T) []T {
	if pointers == nil {
		return nil
	}
	out := make([]T, len(pointers))
	for i, p := range pointers {
		out[i] = *p
	}
	return out
}
