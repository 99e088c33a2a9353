package decide

import "slices"

// InOrder lists the values of a map by id, so that all writers lock in one order.
func InOrder[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, id := range SortedKeys(m) {
		out = append(out, m[id])
	}
	return out
}

// SortedKeys lists the keys of a map in order. An empty list is not nil: as a
// parameter of a statement nil would be null.
func SortedKeys[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// BinaryKeys lists the keys of a set in order.
func BinaryKeys(set map[[16]byte]bool) [][16]byte {
	out := make([][16]byte, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) })
	return out
}
