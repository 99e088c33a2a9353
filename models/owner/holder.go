package owner

import "strings"

// Holder is whose a reservation is, with its class as a prefix. It is stored.
type Holder string

// HolderClass is the kind of a holder.
type HolderClass string

// The classes, by their names in metrics.
const (
	SubjectClass  HolderClass = "subject"
	OwnerRefClass HolderClass = "ownerRef"
	AddressClass  HolderClass = "address"
	NoClass       HolderClass = "none"
)

// The prefixes of the classes.
const (
	subjectPrefix  = "s:"
	ownerRefPrefix = "o:"
	addressPrefix  = "a:"
)

// OfSubject is the holder of what a token's subject reserves; empty for no subject.
func OfSubject(subject string) Holder { return of(subjectPrefix, subject) }

// OfOwnerRef is the holder of what an order service reserves for one of its customers;
// empty for no reference.
func OfOwnerRef(ref string) Holder { return of(ownerRefPrefix, ref) }

// OfAddress is the holder of what an anonymous caller reserves; empty for no address.
func OfAddress(address string) Holder { return of(addressPrefix, address) }

func of(prefix, name string) Holder {
	if name == "" {
		return ""
	}
	return Holder(prefix + name)
}

// Class returns the class of the holder.
func (h Holder) Class() HolderClass {
	switch {
	case strings.HasPrefix(string(h), subjectPrefix):
		return SubjectClass
	case strings.HasPrefix(string(h), ownerRefPrefix):
		return OwnerRefClass
	case strings.HasPrefix(string(h), addressPrefix):
		return AddressClass
	}
	return NoClass
}

// Subject is the subject of the holder's token; empty for any other holder.
func (h Holder) Subject() string {
	subject, ok := strings.CutPrefix(string(h), subjectPrefix)
	if !ok {
		return ""
	}
	return subject
}

// Capability reports whether knowing a reservation's id is the permission to use it.
func (h Holder) Capability() bool { return h == "" || h.Class() == AddressClass }

// Access is what a caller may reach.
type Access struct {
	// Subject is that of the caller's token; empty for none.
	Subject string
	// Orders: the caller has the order scope that its operation needs for reservations
	// of others.
	Orders bool
}

// Reaches reports whether a reservation of a holder exists for the caller.
func (a Access) Reaches(h Holder) bool {
	return h.Capability() || a.Orders || a.Subject != "" && h.Subject() == a.Subject
}
