package faults

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"onhand/faults/chance"
	"onhand/faults/network"
	"onhand/store/storetest"
)

// HostNetwork is the network of a shop whose instances have hosts of their own. Postgres, Redis, customers and shoppers have
// an address each on the host of the tests; the checks reach the servers without it.
type HostNetwork struct {
	*network.Network
	// Customers, Shoppers, Postgres and Redis are addresses on the host of the tests.
	Customers, Shoppers, Postgres, Redis netip.Addr
	// Instances are the addresses of the instances, in their order.
	Instances []netip.Addr

	t testing.TB
}

// openNetwork makes the addresses of the tests' host.
func openNetwork(t testing.TB) *HostNetwork {
	t.Helper()
	n := &HostNetwork{Network: network.New(t, chance.Seed()), t: t}
	n.Customers, n.Shoppers, n.Postgres, n.Redis = n.FirstAddress(), n.AddAddress(), n.AddAddress(), n.AddAddress()
	return n
}

// trustAll is a pg_hba.conf: a network of the tests is a closed one.
const trustAll = "local all all trust\nhost all all all trust\nhost replication all all trust\n"

// postgresOptions have Postgres listen on its address too. Without a network there are none.
func (n *HostNetwork) postgresOptions() []storetest.Option {
	if n == nil {
		return nil
	}
	n.t.Helper()
	path := filepath.Join(os.TempDir(), "onhand-hba-"+n.Postgres.String()) // readable for the account of Postgres
	if err := os.WriteFile(path, []byte(trustAll), 0o644); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = os.Remove(path) })
	return []storetest.Option{
		storetest.WithSetting("listen_addresses", "127.0.0.1,"+n.Postgres.String()), storetest.WithSetting("hba_file", path),
	}
}

// redisOptions are those of Redis, as postgresOptions.
func (n *HostNetwork) redisOptions() []storetest.Option {
	if n == nil {
		return nil
	}
	return []storetest.Option{
		storetest.WithSetting("bind", "127.0.0.1 "+n.Redis.String()), storetest.WithSetting("protected-mode", "no"),
	}
}

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

// withHost replaces the host of an address.
func withHost(address string, host netip.Addr) string {
	_, port, _ := net.SplitHostPort(address)
	return net.JoinHostPort(host.String(), port)
}
