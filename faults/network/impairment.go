package network

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Impairment is what happens to packets on their way from one address to another.
type Impairment struct {
	// Delay is how long each takes; Jitter, by how much it is more or less.
	Delay, Jitter time.Duration
	// Loss is the share of packets that are lost, from 0 to 1.
	Loss float64
	// Cut drops every packet.
	Cut bool
}

// queuedMax bounds the packets that wait for the end of their delay, in one direction. Later ones are lost.
const queuedMax = 4096

// What the headers of packets have.
const (
	protocolTCP    = 6
	tcpHeaderBytes = 20
	tcpSYN         = 2
)

// direction is from one address to another.
type direction struct{ from, to netip.Addr }

// faults are those of a network. They are safe for concurrent use.
type faults struct {
	mu     sync.Mutex
	random *rand.Rand
	of     map[direction]Impairment
	queues map[direction]*queue
	lost   map[direction]int

	seen, forgotten map[flow]bool // connections

	running sync.WaitGroup // the goroutines of queues
}

// flow is one direction of a TCP connection.
type flow struct {
	direction
	ports [4]byte // source and destination
}

// flowsMax bounds the connections that are known. A network of a scenario has far fewer.
const flowsMax = 1 << 16

// queue has the packets of one direction that are delayed.
type queue struct {
	packets chan delayed
	last    time.Time // when the last of them is due
}

// delayed is a packet, and when it is due.
type delayed struct {
	due    time.Time
	packet []byte
}

func newFaults(seed uint64) *faults {
	return &faults{random: rand.New(rand.NewPCG(seed, 0)), of: map[direction]Impairment{}, queues: map[direction]*queue{}, lost: map[direction]int{}, seen: map[flow]bool{}, forgotten: map[flow]bool{}}
}

func (f *faults) set(d direction, impairment Impairment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of[d] = impairment
}

func (f *faults) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.of)
}

// forget has every connection dropped that there is between two addresses.
func (f *faults) forget(one, other netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for connection := range f.seen {
		if connection.direction == (direction{one, other}) || connection.direction == (direction{other, one}) {
			f.forgotten[connection] = true
		}
	}
}

// isForgotten notes the connection of a packet, and reports whether it was forgotten. f.mu is held.
func (f *faults) isForgotten(d direction, packet []byte) bool {
	header := int(packet[0]&15) * 4
	if packet[9] != protocolTCP || len(packet) < header+tcpHeaderBytes {
		return false
	}
	connection := flow{d, [4]byte(packet[header:])}
	if packet[header+13]&tcpSYN != 0 {
		delete(f.forgotten, connection) // a new connection
	}
	if len(f.seen) < flowsMax {
		f.seen[connection] = true
	}
	return f.forgotten[connection]
}

// lostOn is how many packets were lost or dropped in one direction.
func (f *faults) lostOn(d direction) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost[d]
}

// pass decides on a packet: it is to be sent now, or else was lost or queued. A direction that was delayed once stays a
// queue, so that packets keep their order when its delay ends.
func (f *faults) pass(d direction, packet []byte, send func([]byte)) (now bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	impairment := f.of[d]
	if f.isForgotten(d, packet) || impairment.Cut || (impairment.Loss > 0 && f.random.Float64() < impairment.Loss) {
		f.lost[d]++
		return false
	}
	q := f.queues[d]
	if q == nil && impairment.Delay == 0 {
		return true
	}
	if q == nil {
		q = &queue{packets: make(chan delayed, queuedMax)}
		f.queues[d] = q
		f.running.Go(func() { q.run(send) })
	}
	due := time.Now().Add(impairment.Delay)
	if impairment.Jitter > 0 {
		due = due.Add(time.Duration(f.random.Int64N(int64(2*impairment.Jitter))) - impairment.Jitter)
	}
	if due.Before(q.last) {
		due = q.last
	}
	select {
	case q.packets <- delayed{due, append([]byte(nil), packet...)}:
		q.last = due
	default:
		f.lost[d]++
	}
	return false
}

// run sends each packet when it is due, until the queue is closed and empty.
func (q *queue) run(send func([]byte)) {
	for p := range q.packets {
		time.Sleep(time.Until(p.due))
		send(p.packet)
	}
}

// close ends the queues and waits for them: for the longest delay at most.
func (f *faults) close() {
	f.mu.Lock()
	for d, q := range f.queues {
		close(q.packets)
		delete(f.queues, d)
	}
	f.of = nil // no packet comes any more
	f.mu.Unlock()
	f.running.Wait()
}
