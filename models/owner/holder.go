package owner

import "strings"

// Holder is whose a reservation is, with its class as a prefix. It is stored.
type Holder string

// The classes of holders.
const (
	subjectClass  = "s:"
	ownerRefClass = "o:"
	addressClass  = "a:"
)

// OfSubject is the holder of what a token's subject reserves; empty for no subject.
func OfSubject(subject string) Holder { return of(subjectClass, subject) }

// OfOwnerRef is the holder of what an order service reserves for one of its customers;
// empty for no reference.
func OfOwnerRef(ref string) Holder { return of(ownerRefClass, ref) }

// OfAddress is the holder of what an anonymous caller reserves; empty for no address.
func OfAddress(address string) Holder { return of(addressClass, address) }

func of(class, name string) Holder {
	if name == "" {
		return ""
	}
	return Holder(class + name)
}

// Subject is the subject of the holder's token; empty for any other holder.
func (h Holder) Subject() string {
	subject, ok := strings.CutPrefix(string(h), subjectClass)
	if !ok {
		return ""
	}
	return subject
}

// Capability reports whether knowing a reservation's id is the permission to use it.
func (h Holder) Capability() bool { return h == "" || strings.HasPrefix(string(h), addressClass) }

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
