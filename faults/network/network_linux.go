package network

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	// packetBytesMax is the largest packet of a device (its MTU): that of Ethernet.
	packetBytesMax = 1500
	// hostFirst is the last byte of the address of the first host; the tests' own addresses are before it.
	hostFirst = 100
	// ipv4HeaderBytes is the smallest header of an IPv4 packet.
	ipv4HeaderBytes = 20
	tunPath         = "/dev/net/tun"
)

// netmask of every address: a network has 24 bits.
var netmask = []byte{255, 255, 255, 0}

// Network is hosts, and the packets between them.
type Network struct {
	t      testing.TB
	subnet [3]byte
	own    *os.File // the device of the tests' host
	device string
	ours   int // addresses of the tests' host, so far
	faults *faults

	mu      sync.Mutex
	devices map[netip.Addr]*os.File // by the address of the host behind them
	readers sync.WaitGroup
}

// Host is a network namespace with one address.
type Host struct {
	// Address is its IPv4 address.
	Address   netip.Addr
	namespace *os.File
}

// New makes a network with the tests' host alone, which ends with the test. The seed repeats which packets are lost. Where
// the machine does not allow it, the test is skipped.
func New(t testing.TB, seed uint64) *Network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: network namespaces need root")
	}
	n := &Network{t: t, faults: newFaults(seed), devices: map[netip.Addr]*os.File{}}
	n.subnet = [3]byte{198, 18 + byte(rand.IntN(2)), byte(rand.IntN(256))}
	own, device, err := openDevice()
	if err != nil {
		t.Skipf("skipped: no network device of our own: %v", err)
	}
	n.own, n.device = own, device
	t.Cleanup(n.close)
	n.AddAddress() // the first address starts the device
	n.readers.Go(func() { n.forward(own) })
	return n
}

func (n *Network) address(last int) netip.Addr {
	return netip.AddrFrom4([4]byte{n.subnet[0], n.subnet[1], n.subnet[2], byte(last)})
}

// FirstAddress is the first address of the tests' host, from which it connects unless told otherwise.
func (n *Network) FirstAddress() netip.Addr { return n.address(1) }

// AddAddress gives the tests' host one more address, such as that of a server that runs there. Call it from one goroutine.
func (n *Network) AddAddress() netip.Addr {
	n.t.Helper()
	n.ours++
	name := n.device
	if n.ours > 1 {
		name = fmt.Sprint(name, ":", n.ours)
	}
	address := n.address(n.ours)
	if err := configure(name, address); err != nil {
		n.t.Skipf("skipped: %s cannot have the address %s: %v", name, address, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.devices[address] = n.own
	return address
}

// NewHost makes a namespace. Where the machine does not allow it, the test is skipped. Call it from one goroutine.
func (n *Network) NewHost() *Host {
	n.t.Helper()
	n.mu.Lock()
	h := &Host{Address: n.address(hostFirst + len(n.devices))}
	n.mu.Unlock()
	var device *os.File
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread stays in the namespace and ends with this goroutine
		var err error
		device, err = h.enterNew()
		made <- err
	}()
	if err := <-made; err != nil {
		n.t.Skipf("skipped: no network namespace: %v", err)
	}
	n.mu.Lock()
	n.devices[h.Address] = device
	n.mu.Unlock()
	n.readers.Go(func() { n.forward(device) })
	return h
}

// enterNew moves this thread into a new namespace, and returns its device.
func (h *Host) enterNew() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("unshare: %w", err)
	}
	var err error
	if h.namespace, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return nil, err
	}
	device, name, err := openDevice()
	if err != nil {
		return nil, err
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return device, errors.Join(configure("lo", loopback), configure(name, h.Address))
}

// Enter moves this thread into the host: what is started by it afterwards runs there. The goroutine must have locked the
// thread, and must not unlock it.
func (h *Host) Enter() error {
	if err := unix.Setns(int(h.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the host %s: %w", h.Address, err)
	}
	return nil
}

// Set gives the packets from one address to another an impairment; the zero Impairment heals them.
func (n *Network) Set(from, to netip.Addr, impairment Impairment) {
	n.faults.set(direction{from, to}, impairment)
}

// SetBoth is Set in both directions.
func (n *Network) SetBoth(one, other netip.Addr, impairment Impairment) {
	n.Set(one, other, impairment)
	n.Set(other, one, impairment)
}

// Heal ends all faults.
func (n *Network) Heal() { n.faults.heal() }

// Forget drops every packet of the connections that there are between two addresses, from now on, and lets new ones pass: a
// firewall that has lost its state. Heal does not bring them back.
func (n *Network) Forget(one, other netip.Addr) { n.faults.forget(one, other) }

// Lost is how many packets from one address to another were lost or dropped.
func (n *Network) Lost(from, to netip.Addr) int { return n.faults.lostOn(direction{from, to}) }

// forward reads the packets of one device until it is closed.
func (n *Network) forward(device *os.File) {
	packet := make([]byte, packetBytesMax)
	for {
		size, err := device.Read(packet)
		if err != nil {
			return // it was closed
		}
		if size < ipv4HeaderBytes || packet[0]>>4 != 4 {
			continue // IPv6 announces itself on every device
		}
		d := direction{netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20]))}
		n.mu.Lock()
		to := n.devices[d.to]
		n.mu.Unlock()
		if to == nil {
			continue // such as multicast
		}
		send := func(p []byte) { _, _ = to.Write(p) } // a network may lose a packet
		if n.faults.pass(d, packet[:size], send) {
			send(packet[:size])
		}
	}
}

// close ends the network. Processes in namespaces have ended before.
func (n *Network) close() {
	n.mu.Lock()
	for address, device := range n.devices {
		if device != n.own || address == n.address(1) {
			_ = device.Close() // the kernel removes it
		}
	}
	n.mu.Unlock()
	n.readers.Wait()
	n.faults.close()
}

// openDevice makes a TUN device in the namespace of this thread.
func openDevice() (*os.File, string, error) {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", tunPath, err)
	}
	request, err := unix.NewIfreq("onhand%d") // the kernel numbers it
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("%s: %w", tunPath, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), tunPath), request.Name(), nil
}

// configure gives a device of this thread's namespace an address and starts it. name:2 is a further address of a device.
func configure(name string, address netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	four := address.As4()
	if err := request.SetInet4Addr(four[:]); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, request); err != nil {
		return fmt.Errorf("address of %s: %w", name, err)
	}
	if err := request.SetInet4Addr(netmask); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFNETMASK, request); err != nil {
		return fmt.Errorf("netmask of %s: %w", name, err)
	}
	base, _, further := strings.Cut(name, ":")
	if further {
		return nil
	}
	if request, err = unix.NewIfreq(base); err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	return nil
}
