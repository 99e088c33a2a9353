//go:build !linux

package storetest

// Only Linux ties a server to a thread.
func threadID() int { return 0 }

func threadExists(int) bool { return false }
