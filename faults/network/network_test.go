package network

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// echoEnv has this program be a server on a host: it returns what it receives.
const echoEnv = "ONHAND_NETWORK_ECHO"

func TestMain(m *testing.M) {
	if address := os.Getenv(echoEnv); address != "" {
		echo(address)
		return
	}
	os.Exit(m.Run())
}

func echo(address string) {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		panic(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(connection, connection) }()
	}
}

// startEcho starts this program on a host.
func startEcho(t *testing.T, h *Host) string {
	t.Helper()
	address := netip.AddrPortFrom(h.Address, 8080).String()
	program, err := os.Executable()
	require.NoError(t, err)
	command := exec.Command(program)
	command.Env = []string{echoEnv + "=" + address}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := h.Enter()
		if err == nil {
			err = command.Start()
		}
		started <- err
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return address
}

// dial connects to a host, from one of our addresses.
func dial(t *testing.T, from netip.Addr, address string) net.Conn {
	t.Helper()
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
	var connection net.Conn
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var err error
		connection, err = dialer.DialContext(ctx, "tcp4", address)
		return err == nil
	}, patience, 10*time.Millisecond)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// exchange sends a byte and returns how long its return took; ok is false when it did not return within limit.
func exchange(t *testing.T, connection net.Conn, limit time.Duration) (took time.Duration, ok bool) {
	t.Helper()
	began := time.Now()
	_, err := connection.Write([]byte{1})
	require.NoError(t, err)
	require.NoError(t, connection.SetReadDeadline(began.Add(limit)))
	_, err = connection.Read(make([]byte, 1))
	return time.Since(began), err == nil
}

// TestFaults: packets between two hosts are delayed, lost and dropped in one direction, a dropped one closes nothing, and
// the other address of the same host is left alone.
func TestFaults(t *testing.T) {
	t.Parallel()
	n := New(t, 1)
	one, other, host := n.AddAddress(), n.AddAddress(), n.NewHost()
	address := startEcho(t, host)
	from, beside := dial(t, one, address), dial(t, other, address)

	n.SetBoth(one, host.Address, Impairment{Delay: 60 * time.Millisecond, Jitter: 10 * time.Millisecond})
	took, ok := exchange(t, from, patience)
	require.True(t, ok)
	assert.GreaterOrEqual(t, took, 100*time.Millisecond)
	took, ok = exchange(t, beside, patience)
	require.True(t, ok)
	assert.Less(t, took, 100*time.Millisecond)

	n.SetBoth(one, host.Address, Impairment{Loss: 0.2})
	for n.Lost(one, host.Address)+n.Lost(host.Address, one) == 0 {
		_, ok = exchange(t, from, patience)
		require.True(t, ok, "TCP repeats what is lost")
	}

	n.Set(host.Address, one, Impairment{Cut: true})
	_, ok = exchange(t, from, 300*time.Millisecond)
	require.False(t, ok)
	_, ok = exchange(t, beside, patience)
	require.True(t, ok)
	n.Heal()
	require.NoError(t, from.SetReadDeadline(time.Now().Add(patience)))
	_, err := from.Read(make([]byte, 1))
	require.NoError(t, err, "the connection was never closed, and the answer is repeated")

	n.Forget(one, host.Address)
	_, ok = exchange(t, from, 300*time.Millisecond)
	require.False(t, ok)
	_, ok = exchange(t, dial(t, one, address), patience)
	require.True(t, ok, "new connections pass")
}
