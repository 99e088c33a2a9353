//go:build !unix

package wsframe

import "syscall"

// tryWrite writes nothing: the caller continues with Conn.Write.
func tryWrite(syscall.RawConn, []byte) (n int, err error) { return 0, nil }
