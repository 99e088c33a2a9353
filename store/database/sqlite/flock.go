//go:build unix && !aix && !solaris

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"onhand/store/database/dialect"
)

// lockFile takes a lock that the system releases when the process ends. Two locks of one
// process exclude each other, as the locks of two processes do.
//
// Errors: ErrClaimed, ErrNoClaim.
func lockFile(name string, exclusive bool) (release func(), err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", dialect.ErrNoClaim, err)
	}
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	for {
		err = syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return func() { _ = file.Close() }, nil
	}
	_ = file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: %s is locked", dialect.ErrClaimed, name)
	}
	return nil, fmt.Errorf("%w: lock %s: %w", dialect.ErrNoClaim, name, err)
}
