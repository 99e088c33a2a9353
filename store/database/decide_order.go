package database

import "slices"

// inOrder lists what is in a map by id, so that all writers lock in one order.
func inOrder[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, id := range sortedKeys(m) {
		out = append(out, m[id])
	}
	return out
}

// sortedKeys lists the keys of a map in order. An empty list is not nil, which
// as a parameter of a statement would be null.
func sortedKeys[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func binaryKeys(set map[[16]byte]bool) [][16]byte {
	out := make([][16]byte, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) })
	return out
}
