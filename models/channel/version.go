package channel

// The bounds of the two parts of a view's version. The tables check both.
const (
	revisionBits = 26
	// RevisionMax is the largest revision of a channel. A channel that has reached it
	// cannot change any more: a hundred changes a day take 1,800 years.
	RevisionMax = 1<<revisionBits - 1
	// RevisionReserve is more than one write can add to a revision: one for each
	// location that it adds or removes. A write that could pass RevisionMax is refused.
	RevisionReserve = 1 << 14
	// ProductVersionMax is the largest version of a product: 2^52 - 1.
	ProductVersionMax = 1<<52 - 1
)

// Version is the version of a channel's view of a product.
//
// The revision counts 2^26 each and the product's version counts one. Neither ever
// falls, so each change of either gives a higher version. Product versions above 2^26
// are fine: only the distance of two versions of one product that are in use must stay below it.
func Version(revision, product int64) int64 { return revision<<revisionBits + product }
