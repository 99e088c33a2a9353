//go:build unix

package wsframe

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// attempt is one attempt to write. It is from a pool, so that it allocates nothing.
type attempt struct {
	data  []byte
	n     int
	err   error
	write func(fd uintptr) (done bool)
}

var attempts = sync.Pool{New: func() any {
	a := &attempt{}
	a.write = a.once
	return a
}}

// once writes what the send buffer takes, and does not wait.
func (a *attempt) once(fd uintptr) (done bool) {
	for {
		if a.n, a.err = syscall.Write(int(fd), a.data); !errors.Is(a.err, syscall.EINTR) {
			return true
		}
	}
}

func tryWrite(raw syscall.RawConn, data []byte) (n int, err error) {
	if len(data) == 0 {
		return 0, nil
	}
	a := attempts.Get().(*attempt)
	a.data = data
	failed := raw.Write(a.write)
	n, err = a.n, a.err
	a.data, a.n, a.err = nil, 0, nil
	attempts.Put(a)
	switch {
	case failed != nil:
		return 0, failed
	case errors.Is(err, syscall.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}
