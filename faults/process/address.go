package process

import (
	"math/rand/v2"
	"net"
	"strconv"
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
	for range portAttemptsMax {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(portMin+rand.IntN(portMax-portMin)))
		if probe, err := net.Listen("tcp4", address); err == nil {
			_ = probe.Close() // it was only a probe
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}
