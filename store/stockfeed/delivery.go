package stockfeed

// deliver queues value for every watcher of id, if it is newer, and notifies them. epoch
// is the epoch that the value belongs to. deliver returns true if the id must be
// refreshed, because value is not of the database's epoch. With lone, the calling
// goroutine has nothing else to do: a watcher that is the only one may write the value
// in it.
//
//   - In the epoch of the topic's latest value, the higher version wins.
//   - A value of the database's epoch replaces one of another epoch.
//   - A value of another epoch than the database's never replaces one of a third
//     epoch. It may be a late message of an earlier epoch, or the first one of an
//     epoch that this instance has not read yet.
//   - After an epoch change, an identical value is not delivered again. The epoch
//     also changes when only Redis was replaced.
func (r *registry[T]) deliver(id, epoch string, value *T, lone bool) (refresh bool) {
	only, refresh := r.queueValue(id, epoch, value, lone)
	if only != nil {
		only.queue.signal(true) // the registry is not locked: writing may end the watch
	}
	return refresh
}

// queueValue is deliver, but that it does not notify the only watcher of a lone value,
// which it returns.
func (r *registry[T]) queueValue(id, epoch string, value *T, lone bool) (only *watcher[T], refresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.topics[r.kind.channel(id)]
	if t == nil || r.stopped {
		return nil, false
	}
	// Read under the lock, so that no earlier delivery knew a later epoch.
	current := r.epochs.Epoch()
	foreign := current != "" && epoch != current
	changed := epoch != t.epoch
	if t.latest != nil && changed && foreign {
		return nil, true
	}
	if r.kind.accept(t, value, t.latest == nil || changed) {
		repeated := t.latest != nil && changed && r.kind.identical(t.latest, value)
		t.latest, t.epoch = value, epoch
		if repeated {
			return nil, foreign
		}
		if lone && len(t.watchers) == 1 {
			if w := t.watchers[0].watcher; w.queue.replacePending(t.id, value) {
				only = w
			}
			return only, foreign
		}
		for _, w := range t.watchers {
			w.queue.put(t.id, value)
		}
	}
	return nil, foreign
}

// deliverLatest queues the latest value of each topic for a new watcher, unless
// the value is of an earlier epoch.
func (r *registry[T]) deliverLatest(w *watcher[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	current := r.epochs.Epoch()
	for _, t := range w.topics {
		if t.latest != nil && (current == "" || t.epoch == current) {
			w.queue.put(t.id, t.latest)
		}
	}
}

// repeat queues the latest values for a watcher that is not removed yet.
func (r *registry[T]) repeat(w *watcher[T]) {
	r.mu.Lock()
	watching := r.watchers[w] && !r.stopped
	r.mu.Unlock()
	if watching {
		r.deliverLatest(w)
	}
}

// end ends the watches of an id that was known and that the database no longer
// has in epoch, if that is still the database's epoch.
func (r *registry[T]) end(id, epoch string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.topics[r.kind.channel(id)]
	if t == nil || t.latest == nil || epoch != r.epochs.Epoch() {
		return
	}
	t.latest = nil
	t.stopExpiry()
	for _, w := range t.watchers {
		w.queue.close(err)
	}
}

// known reports whether a watched id has a value.
func (r *registry[T]) known(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.topics[r.kind.channel(id)]
	return t != nil && t.latest != nil
}
