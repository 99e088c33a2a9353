package storetest

import (
	"net"
	"sync"
	"testing"
)

// Silent is the address of a server that accepts every connection and never answers, as a frozen server or a broken network
// does. It ends with the test.
func Silent(t testing.TB) (address string) {
	t.Helper()
	address, _ = CountedSilent(t)
	return address
}

// CountedSilent is Silent, and how many connections the server has accepted.
func CountedSilent(t testing.TB) (address string, accepted func() int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	requireServer(t, err)
	var mu sync.Mutex
	var taken []net.Conn
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			taken = append(taken, conn)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-over
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range taken {
			_ = conn.Close()
		}
	})
	return listener.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(taken)
	}
}
