// Package network gives processes hosts of their own, with a network between them that a scenario can break.
//
// A [Host] is a Linux network namespace with one address. A [Network] carries the packets between its hosts and the host of
// the tests, which has several addresses: one for clients and one for each server. Real TCP runs at both ends, and packets
// pass through this process, which delays, loses or drops them. A dropped packet is dropped silently: no connection is reset
// or refused, so that each side must find out by itself.
//
// Terms: an [Impairment] is what happens to the packets from one address to another. The two directions have impairments of their own.
//
// Invariants: packets of one direction stay in their order. The namespaces, devices and addresses end with the test, and
// with the process however that ends. Each network has a subnet of its own in 198.18.0.0/15, which is reserved for tests.
//
// It needs Linux, root and /dev/net/tun; without them [New] skips the test and says what is missing. It imports nothing of
// Onhand.
package network
