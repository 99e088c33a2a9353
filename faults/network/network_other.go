//go:build !linux

package network

import (
	"errors"
	"net/netip"
	"testing"
)

// Network is hosts, and the packets between them.
type Network struct{ faults *faults }

// Host is a network namespace with one address.
type Host struct {
	// Address is its IPv4 address.
	Address netip.Addr
}

// New skips the test.
func New(t testing.TB, _ uint64) *Network {
	t.Helper()
	t.Skip("skipped: network namespaces need Linux")
	return nil
}

// FirstAddress is unreachable: New skips the test first.
func (n *Network) FirstAddress() netip.Addr { return netip.Addr{} }

// AddAddress is unreachable: New skips the test first.
func (n *Network) AddAddress() netip.Addr { return netip.Addr{} }

// NewHost is unreachable: New skips the test first.
func (n *Network) NewHost() *Host { return nil }

// Enter is unreachable: New skips the test first.
func (h *Host) Enter() error { return errors.ErrUnsupported }

// Set is unreachable: New skips the test first.
func (n *Network) Set(from, to netip.Addr, impairment Impairment) {
	n.faults.set(direction{from, to}, impairment)
}

// SetBoth is unreachable: New skips the test first.
func (n *Network) SetBoth(one, other netip.Addr, impairment Impairment) {}

// Heal is unreachable: New skips the test first.
func (n *Network) Heal() { n.faults.heal() }

// Forget is unreachable: New skips the test first.
func (n *Network) Forget(one, other netip.Addr) { n.faults.forget(one, other) }

// Lost is unreachable: New skips the test first.
func (n *Network) Lost(from, to netip.Addr) int { return n.faults.lostOn(direction{from, to}) }
