package stockfeed

import (
	"context"
	"sync"
	"time"

	"onhand/models"
)

// board knows who watches what: for each id a topic, for each topic the
// mailboxes of its watchers. T is models.Stock or models.Reservation.
type board[T any] struct {
	channel func(id string) string
	// epoch is the history the database is in; empty while nobody knows.
	epoch func() string
	// accept tells whether value is news for the topic. With first it is, for
	// there is no older one of the same history. It is called under the lock.
	accept func(t *topic[T], value *T, first bool) bool
	// same tells whether two values of different histories say the same; nil:
	// they never do.
	same       func(a, b *T) bool
	subscriber *subscriber
	rereader   *rereader

	mu      sync.Mutex
	topics  map[string]*topic[T] // by channel
	idle    map[string]*topic[T] // by channel: those without a watcher
	boxes   map[*mailbox[T]]bool // every watcher's
	stopped bool
}

// topic is one id that is watched, or was until a moment ago.
type topic[T any] struct {
	id, channel string
	boxes       map[*mailbox[T]]bool
	latest      *T
	epoch       string // the history of latest
	idleSince   time.Time

	isConfirmed bool
	confirmed   chan struct{} // closed while the subscription is confirmed
	// read is true once somebody has begun to read the current value. A
	// confirmation after that means that a message may have been missed.
	read bool

	timer *time.Timer // reservations: reads again at the expiry
}

func newBoard[T any](channel func(string) string, epoch func() string, accept func(*topic[T], *T, bool) bool) *board[T] {
	return &board[T]{
		channel: channel, epoch: epoch, accept: accept,
		topics: make(map[string]*topic[T]), idle: make(map[string]*topic[T]), boxes: make(map[*mailbox[T]]bool),
	}
}

// seat is one watcher's place on a board.
type seat[T any] struct {
	box    *mailbox[T]
	topics []*topic[T]
}

// join registers a watcher of ids, which are distinct. From here on nothing
// that is delivered passes it by.
func (b *board[T]) join(ids []string) (*seat[T], error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return nil, ErrStopped
	}
	if len(b.topics)+len(ids) > topicsMax {
		return nil, models.Unavailable("too much is being watched; please try again later", nil)
	}
	s := &seat[T]{box: newMailbox[T](), topics: make([]*topic[T], 0, len(ids))}
	b.boxes[s.box] = true
	var fresh []string
	for _, id := range ids {
		channel := b.channel(id)
		t := b.topics[channel]
		if t == nil {
			t = &topic[T]{
				id: id, channel: channel, boxes: make(map[*mailbox[T]]bool), confirmed: make(chan struct{}),
			}
			b.topics[channel] = t
			fresh = append(fresh, channel)
		}
		delete(b.idle, channel)
		t.boxes[s.box] = true
		s.topics = append(s.topics, t)
	}
	b.subscriber.want(fresh...)
	return s, nil
}

// await waits until Redis has confirmed every subscription of the seat, but
// not long, and not at all while there is no connection: what is missed then
// is read again once there is one.
func (b *board[T]) await(ctx context.Context, s *seat[T], limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, t := range s.topics {
		if !b.subscriber.connected.Load() {
			break
		}
		b.mu.Lock()
		confirmed := t.confirmed
		b.mu.Unlock()
		select {
		case <-confirmed:
			continue
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		break
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range s.topics {
		t.read = true
	}
	return nil
}

// catchUp gives the seat the latest value of each of its topics, unless that
// is of a history that was lost.
func (b *board[T]) catchUp(s *seat[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	current := b.epoch()
	for _, t := range s.topics {
		if t.latest != nil && (current == "" || t.epoch == current) {
			s.box.put(t.id, t.latest)
		}
	}
}

// leave takes a seat away. A topic without watchers stays for a while.
func (b *board[T]) leave(s *seat[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.boxes, s.box)
	for _, t := range s.topics {
		delete(t.boxes, s.box)
		if len(t.boxes) == 0 && b.topics[t.channel] == t {
			t.idleSince = time.Now()
			b.idle[t.channel] = t
		}
	}
}

// sweep unsubscribes the topics that nobody has watched for linger.
func (b *board[T]) sweep(linger time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var gone []string
	for channel, t := range b.idle {
		if time.Since(t.idleSince) >= linger {
			delete(b.idle, channel)
			delete(b.topics, channel)
			t.disarm()
			gone = append(gone, channel)
		}
	}
	b.subscriber.drop(gone...) // under the lock, lest a new watcher's want comes first
}

// deliver gives value, of the history that epoch names, to everybody who
// watches its id, if it is news. Within a history the newer version wins; of
// two histories, the one that the database is in. A value of another one may
// be a late word of a history that was lost, or the first of one that we have
// not heard of: doubtful says that the id must be read again. What a new history
// repeats word by word is no news: it also begins when Redis alone was replaced.
func (b *board[T]) deliver(id, epoch string, value *T) (doubtful bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[b.channel(id)]
	if t == nil || b.stopped {
		return false
	}
	current := b.epoch() // under the lock: who delivered before us knew no later one
	foreign := current != "" && epoch != current
	another := epoch != t.epoch
	if t.latest != nil && another && foreign {
		return true
	}
	if b.accept(t, value, t.latest == nil || another) {
		told := t.latest != nil && another && b.same != nil && b.same(t.latest, value)
		t.latest, t.epoch = value, epoch
		if told {
			return foreign
		}
		for box := range t.boxes {
			box.put(t.id, value)
		}
	}
	return foreign
}

// vanish ends the watches of an id that was known and is no longer in the
// history that epoch names, if that is the one the database is in.
func (b *board[T]) vanish(id, epoch string, because error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[b.channel(id)]
	if t == nil || t.latest == nil || epoch != b.epoch() {
		return
	}
	t.latest = nil
	t.disarm()
	for box := range t.boxes {
		box.end(because)
	}
}

// confirmed notes a subscription, and has the value read again where messages
// may have been missed. It tells whether the channel is of this board.
func (b *board[T]) confirmed(channel string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[channel]
	if t == nil {
		return false
	}
	if !t.isConfirmed {
		t.isConfirmed = true
		close(t.confirmed)
	}
	if t.read && len(t.boxes) > 0 {
		b.rereader.add(t.id)
	}
	return true
}

// lost forgets every confirmation.
func (b *board[T]) lost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.topics {
		if t.isConfirmed {
			t.isConfirmed = false
			t.confirmed = make(chan struct{})
		}
	}
}

// idOf is the id whose channel this is.
func (b *board[T]) idOf(channel string) (id string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[channel]
	if t == nil {
		return "", false
	}
	return t.id, true
}

// channels lists the channels of all topics.
func (b *board[T]) channels() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]string, 0, len(b.topics))
	for channel := range b.topics {
		list = append(list, channel)
	}
	return list
}

// rereadAll has every watched value read again for which still is true.
func (b *board[T]) rereadAll(still func(latest *T) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for _, t := range b.topics {
		if len(t.boxes) > 0 && (t.latest == nil || still(t.latest)) {
			ids = append(ids, t.id)
		}
	}
	b.rereader.add(ids...)
}

// stop ends every watch.
func (b *board[T]) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	for box := range b.boxes {
		box.end(ErrStopped)
	}
	for _, t := range b.topics {
		t.disarm()
	}
}

func (b *board[T]) size() (watches, topics int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.boxes), len(b.topics)
}

func (t *topic[T]) disarm() {
	if t.timer != nil {
		t.timer.Stop()
	}
}
