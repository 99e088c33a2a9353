package faults

import (
	"net/netip"
	"testing"

	"onhand/faults/chance"
	"onhand/faults/network"
	"onhand/faults/process"
	"onhand/store/storetest"
)

// HostNetwork is the network of a shop whose instances and servers have a host each. Customers and shoppers have an address
// each on the host of the tests. The checks have that of the customers. A scenario that cuts a server off from it says why.
type HostNetwork struct {
	*network.Network
	// Customers and Shoppers are addresses on the host of the tests.
	Customers, Shoppers netip.Addr
	// Postgres, Standby and Redis are the addresses of the servers that there are. [process.SentinelRedis] knows its own.
	Postgres, Standby, Redis netip.Addr
	// Instances are the addresses of the instances, in their order.
	Instances []netip.Addr

	t testing.TB
}

// openNetwork makes the addresses of the tests' host.
func openNetwork(t testing.TB) *HostNetwork {
	t.Helper()
	n := &HostNetwork{Network: network.New(t, chance.Seed()), t: t}
	n.Customers, n.Shoppers = n.FirstAddress(), n.AddAddress()
	return n
}

// server makes a host for a server, and keeps its address. Without a network the server stays on the host of the tests.
func (n *HostNetwork) server(address func(*HostNetwork) *netip.Addr) []storetest.Option {
	if n == nil {
		return nil
	}
	n.t.Helper()
	host := n.NewHost()
	*address(n) = host.Address
	return []storetest.Option{process.ServerOn(host)}
}

func postgresAddress(n *HostNetwork) *netip.Addr { return &n.Postgres }

func standbyAddress(n *HostNetwork) *netip.Addr { return &n.Standby }

func redisAddress(n *HostNetwork) *netip.Addr { return &n.Redis }

// newInstanceHost is a host for one more instance.
func (n *HostNetwork) newInstanceHost() *network.Host {
	n.t.Helper()
	host := n.NewHost()
	n.Instances = append(n.Instances, host.Address)
	return host
}

// hostSettings are those of an instance on a host of its own, beside those with tokens. All customers are one caller, so
// nothing bounds it.
func hostSettings(host *network.Host) []string {
	return append([]string{"ALLOWED_HOSTS=" + host.Address.String()}, unboundedSettings...)
}

// shoppersAddress is where shoppers come from where instances check tokens.
func (s *Shop) shoppersAddress() string {
	if s.Network != nil {
		return s.Network.Shoppers.String()
	}
	return shoppersAddress
}

// newHost makes hosts for the servers of a shop; nil without a network.
func (s *Shop) newHost() func() *network.Host {
	if s.Network == nil {
		return nil
	}
	return s.Network.NewHost
}
