//go:build !plantedrace

package database

// levelLock and productLock lock what is read, until the transaction ends.
const (
	levelLock   = "FOR UPDATE OF l"
	productLock = "FOR NO KEY UPDATE OF p"
)
