// Package chance gives scenarios their random choices.
//
// A run has one seed, which it prints. [New] makes a stream of choices for each name of a test (a customer, a schedule),
// so that what one draws does not change what another draws. The same seed repeats the choices. It does not repeat the
// schedule: threads still race.
//
// Tests that import it have the flag -seed. It imports nothing of Onhand.
package chance
