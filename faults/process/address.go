package process

import (
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"testing"
)

const (
	// portMin and portMax bound our ports. They end below 32768, where Linux begins to hand out ports for outgoing
	// connections: a stopped instance would lose such a port to any client.
	portMin, portMax = 20000, 32000
	// portAttemptsMax bounds the search for a free port.
	portAttemptsMax = 20
)

// freeAddress is a loopback address (host:port) without a listener.
func freeAddress(t testing.TB) string {
	t.Helper()
	address, release := heldAddress(t)
	release()
	return address
}

// heldAddress is a loopback address (host:port) whose port no other socket gets until release is called, which may be
// done again. Nothing listens there: connections are refused.
func heldAddress(t testing.TB) (address string, release func()) {
	t.Helper()
	for range portAttemptsMax {
		port := portMin + rand.IntN(portMax-portMin)
		if socket, err := bind(port); err == nil {
			held := true
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), func() {
				if held {
					held = false
					_ = syscall.Close(socket) // nothing was sent through it
				}
			}
		}
	}
	t.Fatal("no free port")
	return "", nil
}

// bind binds a socket to a port, without SO_REUSEADDR: no other socket can be bound to it then. Children do not get it.
func bind(port int) (socket int, err error) {
	syscall.ForkLock.RLock()
	socket, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, err
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		_ = syscall.Close(socket) // the port is taken
		return 0, err
	}
	return socket, nil
}
