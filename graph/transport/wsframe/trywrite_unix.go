//go:build unix

package wsframe

import (
	"errors"
	"io"
	"syscall"
)

func tryWrite(raw syscall.RawConn, data []byte) (n int, err error) {
	failed := raw.Write(func(fd uintptr) bool {
		for {
			if n, err = syscall.Write(int(fd), data); !errors.Is(err, syscall.EINTR) {
				return true // also when the send buffer is full: do not wait
			}
		}
	})
	switch {
	case failed != nil:
		return 0, failed
	case errors.Is(err, syscall.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0 && len(data) > 0:
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}
