//go:build !unix || aix || solaris

package sqlite

import "onhand/store/database/dialect"

// lockFile reports that this system has no suitable locks.
func lockFile(string, bool) (release func(), err error) { return nil, dialect.ErrNoClaim }
