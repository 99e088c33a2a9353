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

// way is one direction between two addresses.
type way struct{ from, to netip.Addr }

// faults are those of a network. They are safe for concurrent use.
type faults struct {
	mu     sync.Mutex
	dice   *rand.Rand
	of     map[way]Impairment
	queues map[way]*queue
	lost   map[way]int

	seen, forgotten map[flow]bool // connections
}

// flow is one direction of a TCP connection.
type flow struct {
	way
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
	return &faults{dice: rand.New(rand.NewPCG(seed, 0)), of: map[way]Impairment{}, queues: map[way]*queue{}, lost: map[way]int{}, seen: map[flow]bool{}, forgotten: map[flow]bool{}}
}

func (f *faults) set(w way, impairment Impairment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of[w] = impairment
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
		if connection.way == (way{one, other}) || connection.way == (way{other, one}) {
			f.forgotten[connection] = true
		}
	}
}

// isForgotten notes the connection of a packet, and reports whether it was forgotten. f.mu is held.
func (f *faults) isForgotten(w way, packet []byte) bool {
	header := int(packet[0]&15) * 4
	if packet[9] != protocolTCP || len(packet) < header+tcpHeaderBytes {
		return false
	}
	connection := flow{w, [4]byte(packet[header:])}
	if packet[header+13]&tcpSYN != 0 {
		delete(f.forgotten, connection) // a new connection
	}
	if len(f.seen) < flowsMax {
		f.seen[connection] = true
	}
	return f.forgotten[connection]
}

// lostOn is how many packets were lost or dropped in one direction.
func (f *faults) lostOn(w way) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost[w]
}

// pass decides on a packet: it is to be sent now, or else was lost or queued. A direction that was delayed once stays a
// queue, so that packets keep their order when its delay ends.
func (f *faults) pass(w way, packet []byte, send func([]byte)) (now bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	impairment := f.of[w]
	if f.isForgotten(w, packet) || impairment.Cut || (impairment.Loss > 0 && f.dice.Float64() < impairment.Loss) {
		f.lost[w]++
		return false
	}
	q := f.queues[w]
	if q == nil && impairment.Delay == 0 {
		return true
	}
	if q == nil {
		q = &queue{packets: make(chan delayed, queuedMax)}
		f.queues[w] = q
		go q.run(send)
	}
	due := time.Now().Add(impairment.Delay)
	if impairment.Jitter > 0 {
		due = due.Add(time.Duration(f.dice.Int64N(int64(2*impairment.Jitter))) - impairment.Jitter)
	}
	if due.Before(q.last) {
		due = q.last
	}
	select {
	case q.packets <- delayed{due, append([]byte(nil), packet...)}:
		q.last = due
	default:
		f.lost[w]++
	}
	return false
}

// run sends each packet when it is due, until the queue is closed.
func (q *queue) run(send func([]byte)) {
	for p := range q.packets {
		time.Sleep(time.Until(p.due))
		send(p.packet)
	}
}

// close ends the queues.
func (f *faults) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w, q := range f.queues {
		close(q.packets)
		delete(f.queues, w)
	}
	f.of = nil // no packet comes any more
}
