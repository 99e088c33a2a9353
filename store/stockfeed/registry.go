package stockfeed

import (
	"context"
	"sync"
	"time"

	"onhand/models"
)

// topicsMax bounds the products, and the reservations, that may be watched at
// once. It bounds the channels of the one connection, and how much a reconnect
// has to read again.
const topicsMax = 100_000

// registry knows the topics and their watchers, and delivers values to them.
// T is models.Stock or models.Reservation.
type registry[T any] struct {
	kind       kind[T]
	epochs     EpochSource
	subscriber *subscriber
	refresher  *refresher

	mu       sync.Mutex
	topics   map[string]*topic[T] // by channel
	idle     map[string]*topic[T] // by channel: topics without a watcher
	watchers map[*watcher[T]]bool
	lost     int // how often the connection was lost
	stopped  bool
}

// kind is what differs between stock and reservations.
type kind[T any] interface {
	// channel names the Redis channel of an id.
	channel(id string) string
	// accept reports whether value replaces the topic's latest one. With first it
	// does, because there is none of the same epoch. The registry is locked.
	accept(t *topic[T], value *T, first bool) bool
	// identical reports whether two values of different epochs are otherwise equal.
	identical(a, b *T) bool
}

// topic is one id that is watched, or was until a moment ago.
type topic[T any] struct {
	id, channel string
	watchers    []topicWatcher[T]
	latest      *T
	epoch       string // of latest
	idleSince   time.Time

	isConfirmed bool
	confirmed   chan struct{} // closed while Redis confirms the subscription
	// read is true once a read of the current value has begun. A confirmation
	// after that means that messages may be missing.
	read bool
	// current is true while latest is what an uninterrupted, confirmed subscription made
	// of a value that was read after the confirmation.
	current bool

	expiry *time.Timer // of a reservation: refreshes it when it expires
}

// topicWatcher is a watcher of a topic, which is the place-th of its topics.
type topicWatcher[T any] struct {
	*watcher[T]
	place int
}

// watcher is one watch in the registry.
type watcher[T any] struct {
	queue  *conflatingQueue[T]
	topics []watchedTopic[T]
}

// watchedTopic is a topic of a watcher, which is the at-th of its watchers.
type watchedTopic[T any] struct {
	*topic[T]
	at int
}

// addWatcher adds the watcher of a topic. The registry is locked.
func (t *topic[T]) addWatcher(w *watcher[T]) {
	w.topics = append(w.topics, watchedTopic[T]{t, len(t.watchers)})
	t.watchers = append(t.watchers, topicWatcher[T]{w, len(w.topics) - 1})
}

// removeWatcher moves the last watcher into the place of another one. The registry is
// locked.
func (t *topic[T]) removeWatcher(at int) {
	last := len(t.watchers) - 1
	moved := t.watchers[last]
	t.watchers[at] = moved
	moved.topics[moved.place].at = at
	t.watchers[last] = topicWatcher[T]{}
	if t.watchers = t.watchers[:last]; last == 0 {
		t.watchers = nil
	}
}

func newRegistry[T any](kind kind[T], epochs EpochSource, subscriber *subscriber, refresher *refresher) *registry[T] {
	return &registry[T]{
		kind: kind, epochs: epochs, subscriber: subscriber, refresher: refresher,
		topics: make(map[string]*topic[T]), idle: make(map[string]*topic[T]), watchers: make(map[*watcher[T]]bool),
	}
}

// add registers a watcher of distinct ids, and subscribes to the channels of new
// topics. The watcher gets every value that is delivered from now on. Where notify is
// set, it is called when something is pending.
func (r *registry[T]) add(ids []string, notify func(now bool)) (*watcher[T], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil, ErrStopped
	}
	if len(r.topics)+len(ids) > topicsMax {
		return nil, models.Unavailable("too much is being watched; please try again later", nil)
	}
	w := &watcher[T]{queue: newConflatingQueue[T](notify), topics: make([]watchedTopic[T], 0, len(ids))}
	r.watchers[w] = true
	var added []string
	for _, id := range ids {
		channel := r.kind.channel(id)
		t := r.topics[channel]
		if t == nil {
			t = &topic[T]{id: id, channel: channel, confirmed: make(chan struct{})}
			r.topics[channel] = t
			added = append(added, channel)
		}
		delete(r.idle, channel)
		t.addWatcher(w)
	}
	r.subscriber.subscribe(added...)
	return w, nil
}

// remove takes a watcher away. Its topics stay subscribed for a while.
func (r *registry[T]) remove(w *watcher[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.watchers[w] {
		return
	}
	delete(r.watchers, w)
	for _, t := range w.topics {
		t.removeWatcher(t.at)
		if len(t.watchers) == 0 && r.topics[t.channel] == t.topic {
			t.idleSince = time.Now()
			r.idle[t.channel] = t.topic
		}
	}
}

// unsubscribeIdle removes the topics that have had no watcher for linger.
func (r *registry[T]) unsubscribeIdle(linger time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var removed []string
	for channel, t := range r.idle {
		if time.Since(t.idleSince) >= linger {
			delete(r.idle, channel)
			delete(r.topics, channel)
			t.stopExpiry()
			removed = append(removed, channel)
		}
	}
	// Under the lock, so that it cannot follow the subscribe of a new watcher.
	r.subscriber.unsubscribe(removed...)
}

// awaitConfirmed waits until Redis has confirmed the subscriptions of w, but at
// most for timeout, and not at all without a connection. What is missed then is
// refreshed after the confirmation.
func (r *registry[T]) awaitConfirmed(ctx context.Context, w *watcher[T], timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for i := range w.topics {
		if !r.subscriber.connected.Load() {
			break
		}
		t := w.topics[i].topic // and not its place, which changes under the lock
		r.mu.Lock()
		confirmed := t.confirmed
		r.mu.Unlock()
		select {
		case <-confirmed:
			continue
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		break
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range w.topics {
		t.read = true
	}
	return nil
}

// confirmed notes that Redis has confirmed a subscription, and refreshes the
// topic where messages may be missing. It returns false for a channel of the
// other registry.
func (r *registry[T]) confirmed(channel string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.topics[channel]
	if t == nil {
		return false
	}
	if !t.isConfirmed {
		t.isConfirmed = true
		close(t.confirmed)
	}
	t.current = false
	if t.read && len(t.watchers) > 0 {
		r.refresher.add(t.id)
	}
	return true
}

// disconnected discards every confirmation.
func (r *registry[T]) disconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost++
	for _, t := range r.topics {
		t.current = false
		if t.isConfirmed {
			t.isConfirmed = false
			t.confirmed = make(chan struct{})
		}
	}
}

// beginRead returns which of the ids have a confirmed subscription before a read, for
// endRead.
func (r *registry[T]) beginRead(ids []string) (confirmed []*topic[T], lost int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if t := r.topics[r.kind.channel(id)]; t != nil && t.isConfirmed {
			confirmed = append(confirmed, t)
		}
	}
	return confirmed, r.lost
}

// endRead notes that the values of a read were delivered: later ones come as messages,
// unless the connection was lost meanwhile.
func (r *registry[T]) endRead(confirmed []*topic[T], lost int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range confirmed {
		t.current = t.latest != nil && lost == r.lost
	}
}

// isCurrent reports whether the latest value of each topic of w is as new as a read
// would be, but for messages on their way.
func (r *registry[T]) isCurrent(w *watcher[T]) bool {
	if r.subscriber.silence() > silenceCurrentMax {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	epoch := r.epochs.Epoch()
	for _, t := range w.topics {
		if !t.current || t.epoch != epoch {
			return false
		}
	}
	return true
}

// silenceCurrentMax is how long ago Redis may have sent something at most for a new
// watch to begin with what the hub has, and not with a read: within the bound of the
// near cache.
const silenceCurrentMax = 750 * time.Millisecond

// idOf returns the id whose channel this is.
func (r *registry[T]) idOf(channel string) (id string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.topics[channel]
	if t == nil {
		return "", false
	}
	return t.id, true
}

// channels lists the channels of all topics.
func (r *registry[T]) channels() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]string, 0, len(r.topics))
	for channel := range r.topics {
		list = append(list, channel)
	}
	return list
}

// refreshAll refreshes the watched topics whose latest value matches.
func (r *registry[T]) refreshAll(match func(latest *T) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for _, t := range r.topics {
		if len(t.watchers) > 0 && (t.latest == nil || match(t.latest)) {
			ids = append(ids, t.id)
		}
	}
	r.refresher.add(ids...)
}

// stop ends every watch.
func (r *registry[T]) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	for w := range r.watchers {
		w.queue.close(ErrStopped)
	}
	for _, t := range r.topics {
		t.stopExpiry()
	}
}

func (r *registry[T]) size() (watchers, watched, topics int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.watchers), len(r.topics) - len(r.idle), len(r.topics)
}

func (t *topic[T]) stopExpiry() {
	if t.expiry != nil {
		t.expiry.Stop()
	}
}
