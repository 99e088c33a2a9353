//go:build !unix || aix || solaris

package sqlite

import "onhand/store/database/dialect"

// lockFile: this system has no locks that end with the process and that we use.
func lockFile(string, bool) (release func(), err error) { return nil, dialect.ErrNoClaim }
