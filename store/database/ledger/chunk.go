package ledger

import "time"

// Bounds of packs.
const (
	// packMax is how many movements a pack holds at most, and so how many ids it
	// takes: the step of the sequence of ids. Who wants one of its movements reads
	// all of them; larger packs would save a writer nothing to speak of.
	ChunkMax = 256
	// packMin is how many movements of a level are worth a pack: a row is read
	// with less.
	ChunkMin = 4
	// packedWithin is how much later than its reservation a movement that is
	// packed may have been written. Packs are looked for by time, since no index
	// holds their reservations.
	ChunkDelayMax = time.Second
)
