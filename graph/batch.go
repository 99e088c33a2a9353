package graph

// gqlgen resolves the fields of a list's elements in one call: what it gives and
// wants are lists that may have gaps.

// idsOf collects the product ids of the parents that are there.
func idsOf[P any](parents []*P, id func(*P) string) []string {
	ids := make([]string, 0, len(parents))
	for _, p := range parents {
		if p != nil {
			ids = append(ids, id(p))
		}
	}
	return ids
}

// seated puts what was found for the parents that are there back into their
// places: a batch resolver may meet nil parents.
func seated[P, T any](parents []*P, found []*T) []*T {
	out := make([]*T, len(parents))
	next := 0
	for i, p := range parents {
		if p != nil {
			out[i] = found[next]
			next++
		}
	}
	return out
}
