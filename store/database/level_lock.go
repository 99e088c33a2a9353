//go:build !plantedrace

package database

// levelLock is how a write locks the levels that it decides on.
const levelLock = "FOR UPDATE OF l"
