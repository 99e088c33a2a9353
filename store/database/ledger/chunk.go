package ledger

import "time"

// Bounds of ledger chunks. A chunk stores many movements of one level as one row: 26 bytes a
// movement instead of 206 (docs/decisions.md, record 19).
const (
	// ChunkMax is how many movements a chunk has at most, and how many ids it takes: the step
	// of the sequence. A reader of one movement reads its whole chunk, and larger chunks
	// would hardly save a writer anything.
	ChunkMax = 256
	// ChunkMin is how many movements of a level are worth a chunk: rows are cheaper to read.
	ChunkMin = 4
	// ChunkDelayMax is how much later than its reservation a chunked movement may be written.
	// No index has the reservations of chunks, so they are found by time.
	ChunkDelayMax = time.Second
)
