// Package owner says whose a reservation is.
//
// A [Holder] is the text that a reservation stores: the subject of a token, the customer
// that an order service names, or the address of an anonymous caller. It answers two
// questions: who may reach the reservation ([Access]), and against which holder's limits
// it counts.
//
//	holder      made by                                          exists for
//	s:SUBJECT   a caller with a token                            this subject, and the order scopes
//	o:OWNERREF  a caller with write:orders, for an ownerRef;     the order scopes
//	            every caller of a server without tokens has it
//	a:ADDRESS   an anonymous caller, where tokens are configured every caller that knows its id
//	(empty)     a caller of a server without tokens, for none    every caller that knows its id
//
// For every other caller a reservation does not exist: the answer is the same as for an
// unknown id. A subject may claim a reservation of the last two kinds, whose id is a
// capability: it is then the subject's.
//
// The package imports the standard library only.
package owner
