//go:build !plantedrace

package dialect

// LevelLock and ProductLock lock what is read, until the transaction ends.
const (
	LevelLock   = "FOR UPDATE OF l"
	ProductLock = "FOR NO KEY UPDATE OF p"
)
