package rediscache

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"weak"

	"github.com/redis/go-redis/v9"
)

// failoverAddress is what go-redis gives as the address of a client that asks Sentinels.
const failoverAddress = "FailoverClient"

// followServers notes the connections of a client, so that every one to a server can be
// closed that no longer counts: a master that the Sentinels replaced, which it closes here,
// or a node that is separated from its cluster ([Cache.CloseSeparated]). onReplaced is called
// before anything is sent to a new master, which Sentinels or a node of the cluster name.
//
// The library closes the connections of its pool when the Sentinels name another master,
// and none with a subscription. A server that only the others of its kind do not reach
// would go on answering its pings for as long, and send no message.
func followServers(client redis.UniversalClient, onReplaced func()) *servers {
	s := &servers{connections: map[weak.Pointer[net.TCPConn]]string{}, nodes: map[string]weak.Pointer[redis.Client]{}}
	if cluster, ok := client.(*redis.ClusterClient); ok {
		cluster.OnNewNode(func(node *redis.Client) {
			address := node.Options().Addr
			s.addNode(node, address)
			node.AddHook(dialHook(func() func(net.Conn) error {
				return func(connection net.Conn) error { s.add(connection, address); return nil }
			}))
			node.AddHook(replyHook(func(reply redis.Cmder) { s.replied(reply, onReplaced) }))
		})
	}
	if asksSentinels(client) {
		client.AddHook(dialHook(func() func(net.Conn) error {
			dial := s.dialBegins()
			return func(connection net.Conn) error { return s.connected(connection, dial, onReplaced) }
		}))
	}
	return s
}

// servers knows the connections of one client by the servers they go to.
type servers struct {
	mu         sync.Mutex
	master     string // the address that the Sentinels named; empty before the first connection
	dials      int    // that have begun, with Sentinels
	replacedAt int    // how many had begun when the master was replaced
	// Connections that the client has dropped stay in connections until the next dial.
	connections map[weak.Pointer[net.TCPConn]]string
	nodes       map[string]weak.Pointer[redis.Client] // of a cluster, by their addresses
	masters     map[string]bool                       // of a cluster, as named last, by their addresses
}

// dialHook implements [redis.Hook]. It is called when a dial begins, and what it returns with
// the connection, which is closed at an error. With Sentinels each dial asks one for the
// address.
type dialHook func() func(net.Conn) error

// DialHook implements [redis.Hook].
func (h dialHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		connected := h()
		connection, err := next(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := connected(connection); err != nil {
			_ = connection.Close() // nothing was sent
			return nil, err
		}
		return connection, nil
	}
}

// ProcessHook implements [redis.Hook].
func (h dialHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements [redis.Hook].
func (h dialHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// replyHook implements [redis.Hook]. It is called with each command that was answered, before
// its caller goes on.
type replyHook func(redis.Cmder)

// DialHook implements [redis.Hook].
func (h replyHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements [redis.Hook].
func (h replyHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		err := next(ctx, command)
		h(command)
		return err
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (h replyHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := next(ctx, commands)
		for _, command := range commands {
			h(command)
		}
		return err
	}
}

// replied notes the masters that a node of a cluster names: all of them in its list of slots,
// or the one that serves a key. One that was none before may lack the last writes of another.
func (s *servers) replied(command redis.Cmder, onReplaced func()) {
	replaced := false
	if err := command.Err(); err == nil {
		if slots, ok := command.(*redis.ClusterSlotsCmd); ok {
			replaced = s.nameMasters(slots.Val())
		}
	} else if redis.HasErrorPrefix(err, "MOVED") {
		text := err.Error()
		replaced = s.nameMaster(text[strings.LastIndexByte(text, ' ')+1:])
	}
	if replaced && onReplaced != nil {
		onReplaced()
	}
}

// nameMasters notes all masters. It returns true if one of them is new, but not the first
// time. A node that knows none, as one that has just been promoted, says nothing.
func (s *servers) nameMasters(slots []redis.ClusterSlot) (replaced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	named := make(map[string]bool)
	for _, r := range slots {
		if len(r.Nodes) > 0 {
			address := r.Nodes[0].Addr
			named[address] = true
			replaced = replaced || !s.masters[address]
		}
	}
	if len(named) == 0 {
		return false
	}
	replaced = replaced && len(s.masters) > 0
	s.masters = named
	return replaced
}

// nameMaster notes one more master. It returns true if it is new.
func (s *servers) nameMaster(address string) (replaced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.masters) == 0 || s.masters[address] {
		return false
	}
	s.masters[address] = true
	return true
}

// dialBegins counts a dial, before it asks a Sentinel, and returns its number.
func (s *servers) dialBegins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials++
	return s.dials
}

// errReplaced says that a dial was given the address of a master that was replaced meanwhile.
var errReplaced = errors.New("the master was replaced while it was dialled")

// connected notes a connection of a dial to the master. The first one to another master
// closes those to the one before. A dial that began before that says nothing of the master:
// errReplaced.
func (s *servers) connected(connection net.Conn, dial int, onReplaced func()) error {
	address := connection.RemoteAddr().String()
	s.mu.Lock()
	replaced := s.master != "" && s.master != address
	if replaced && dial <= s.replacedAt {
		s.mu.Unlock()
		return errReplaced
	}
	s.master = address
	if replaced {
		s.replacedAt = s.dials
	}
	s.mu.Unlock()
	s.add(connection, address)
	if !replaced {
		return nil
	}
	if onReplaced != nil {
		onReplaced()
	}
	s.closeThose(func(to string) bool { return to != address })
	return nil
}

// add notes a connection to a server.
func (s *servers) add(connection net.Conn, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pointer := range s.connections {
		if pointer.Value() == nil {
			delete(s.connections, pointer)
		}
	}
	if tcp, ok := underlying(connection).(*net.TCPConn); ok {
		s.connections[weak.Make(tcp)] = address
	}
}

// closeThose closes the connections to the servers that match.
func (s *servers) closeThose(match func(address string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pointer, address := range s.connections {
		if tcp := pointer.Value(); tcp == nil {
			delete(s.connections, pointer)
		} else if match(address) {
			delete(s.connections, pointer)
			_ = tcp.Close() // it may be closed already
		}
	}
}

func (s *servers) addNode(node *redis.Client, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[address] = weak.Make(node)
}

// connectedNodes are the nodes that there are connections to, by their addresses.
func (s *servers) connectedNodes() map[string]*redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := map[string]*redis.Client{}
	for pointer, address := range s.connections {
		if node := s.nodes[address].Value(); node != nil && pointer.Value() != nil {
			list[address] = node
		}
	}
	return list
}

// underlying is the TCP connection of a TLS one.
func underlying(connection net.Conn) net.Conn {
	if secure, ok := connection.(interface{ NetConn() net.Conn }); ok {
		return secure.NetConn()
	}
	return connection
}

// ConfirmMaster has both clients ask the Sentinels whether the master is still the one that
// they use, and follow them. The Sentinels' message that it was replaced may have been lost,
// and the old one may still answer. It takes at most CacheConfig.Timeout, and does nothing
// without Sentinels.
func (c *Cache) ConfirmMaster(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, client := range []redis.UniversalClient{c.reader, c.writer} {
		if asksSentinels(client) {
			asking.Go(func() {
				probe := client.Subscribe(ctx) // its dial asks
				_ = probe.Ping(ctx)            // what it answers does not count
				_ = probe.Close()
			})
		}
	}
	asking.Wait()
}

// asksSentinels reports whether Sentinels name the master of a client.
func asksSentinels(client redis.UniversalClient) bool {
	single, ok := client.(*redis.Client)
	return ok && single.Options().Addr == failoverAddress
}

// errSeparated says that a node does not reach most masters of its cluster. It sends no
// message of theirs, and knows no master that has replaced another one.
var errSeparated = errors.New("the node is separated from its cluster")

// CloseSeparated asks the nodes of a cluster that both clients are connected to, all at once,
// and closes every connection to those that are separated from it. Calls and subscriptions
// find by themselves that a node does not answer. It takes at most CacheConfig.Timeout, and
// does nothing without a cluster.
func (c *Cache) CloseSeparated(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, servers := range c.servers {
		for address, node := range servers.connectedNodes() {
			asking.Go(func() {
				if errors.Is(refuseSeparated(node.ClusterNodes(ctx)), errSeparated) {
					servers.closeThose(func(to string) bool { return to == address })
				}
			})
		}
	}
	asking.Wait()
}

// connectedToCluster refuses a new connection to a node that is separated from its
// cluster: it would be asked for the masters, or be subscribed to.
func connectedToCluster(ctx context.Context, connection *redis.Conn) error {
	return refuseSeparated(connection.ClusterNodes(ctx))
}

// refuseSeparated is the error of a node that lists the others like this. A reply that
// cannot be read says nothing.
func refuseSeparated(list *redis.StringCmd) error {
	text, err := list.Result()
	var reply redis.Error
	switch {
	case errors.As(err, &reply):
		return nil
	case err != nil:
		return err
	case separated(text):
		return errSeparated
	}
	return nil
}

// separated reports whether a node reaches fewer than most masters that serve slots, by
// its own list of the nodes (CLUSTER NODES). In such a minority no replica is promoted.
// Where only some masters are dead the others are not separated, whether or not the
// cluster serves all slots.
func separated(nodes string) bool {
	masters, reached := 0, 0
	for line := range strings.Lines(nodes) {
		const flags, slots = 2, 8 // places of a line
		fields := strings.Fields(line)
		if len(fields) <= slots {
			continue
		}
		state := strings.Split(fields[flags], ",")
		if !slices.Contains(state, "master") {
			continue
		}
		masters++
		if !slices.Contains(state, "fail") && !slices.Contains(state, "fail?") {
			reached++
		}
	}
	return masters > 0 && reached < masters/2+1
}
