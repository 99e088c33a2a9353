//go:build plantedrace

package dialect

// LevelLock and ProductLock are missing here: what is decided on may change before it is written. The fault suite builds
// the program with this race to see that its checkers find it; see faults/checker_test.go.
const LevelLock, ProductLock = "", ""
