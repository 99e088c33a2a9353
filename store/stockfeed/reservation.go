package stockfeed

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"onhand/models"
)

// expiryMargin is how long after its expiry a reservation is read again: the
// clocks of two machines do not tick alike. It is also the least wait between
// two such reads.
const expiryMargin = 20 * time.Millisecond

// offerDoubt is how long after the database's epoch changed our own writes are
// only wake-ups: one that was committed in the history that is lost may still
// be on its way here, and a reservation does not say which history it is of. A
// write takes at most six seconds.
const offerDoubt = 10 * time.Second

// ErrNoReservation says that there is no such reservation to watch.
var ErrNoReservation = models.BadInput("no reservation with this id")

// final tells whether a reservation in that state changes no more.
func final(state models.ReservationState) bool {
	return state != models.ReservationActive && state != models.ReservationCommitted
}

// acceptReservation lets versions only grow. Expiry changes the state without
// a version, as time passes, and never back.
func (h *Hub) acceptReservation(t *topic[models.Reservation], r *models.Reservation, first bool) bool {
	news := first || r.Version > t.latest.Version ||
		r.Version == t.latest.Version && r.State != t.latest.State && !final(t.latest.State)
	if first || r.Version >= t.latest.Version {
		h.arm(t, r)
	}
	return news
}

// arm sets the topic's timer to the reservation's expiry. How far off that is,
// the database's clock tells; how fast it comes, ours.
func (h *Hub) arm(t *topic[models.Reservation], r *models.Reservation) {
	t.disarm()
	if r.State != models.ReservationActive || r.ServerTime.IsZero() {
		return // nothing to wait for, or only the repair can tell
	}
	left := max(r.ExpiresAt.Sub(r.ServerTime), 0) + expiryMargin
	id := t.id
	t.timer = time.AfterFunc(left, func() { h.reservations.rereader.add(id) })
}

// ReservationWatch is one watcher of one reservation.
type ReservationWatch struct {
	hub   *Hub
	seat  *seat[models.Reservation]
	over  atomic.Bool
	close sync.Once
}

// WatchReservation begins to watch a reservation. It returns once its current
// state is read. Close the watch when done.
//
// Errors: ErrNoReservation, unavailable where the process has no room for more
// watches, ErrStopped, and whatever reading the reservation answers.
func (h *Hub) WatchReservation(ctx context.Context, id string) (*ReservationWatch, error) {
	if err := h.admit(); err != nil {
		return nil, err
	}
	seat, err := h.reservations.join([]string{id})
	if err != nil {
		h.dismiss()
		return nil, err
	}
	w := &ReservationWatch{hub: h, seat: seat}
	err = h.reservations.await(ctx, seat, h.cfg.ConfirmTimeout)
	if err == nil {
		err = h.readReservations(ctx, []string{id})
	}
	if err == nil && !h.reservations.known(id) {
		err = ErrNoReservation
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	h.reservations.catchUp(seat)
	return w, nil
}

// Next waits for the next state: first the current one, then every newer one,
// each as of its ServerTime. After a final state (anything but ACTIVE and
// COMMITTED) it answers io.EOF. Other errors: that of ctx, ErrStopped,
// ErrClosed, and ErrNoReservation where a restored database does not have it.
func (w *ReservationWatch) Next(ctx context.Context) (*models.Reservation, error) {
	if w.over.Load() {
		return nil, io.EOF
	}
	r, err := w.seat.box.take(ctx)
	if err == nil && final(r.State) {
		w.over.Store(true)
	}
	return r, err
}

// Close ends the watch; it may be called more than once.
func (w *ReservationWatch) Close() {
	w.close.Do(func() {
		w.hub.reservations.leave(w.seat)
		w.seat.box.end(ErrClosed)
		w.hub.dismiss()
	})
}

// DeliverReservations gives this process's own committed changes to its
// watchers, without the way through Redis. It does not block.
func (h *Hub) DeliverReservations(reservations []*models.Reservation) {
	epoch, age := h.history()
	for _, r := range reservations {
		switch {
		case r == nil:
		case age < offerDoubt:
			if h.reservations.known(r.ID) {
				h.reservations.rereader.add(r.ID)
			}
		default:
			h.deliverReservation(epoch, r)
		}
	}
}

func (h *Hub) deliverReservation(epoch string, r *models.Reservation) {
	now := r.At(r.ServerTime)
	if h.reservations.deliver(r.ID, epoch, &now) {
		h.reservations.rereader.add(r.ID)
	}
}

// readReservations reads and delivers. What is read is of the history that was
// known before the read began, or of a later one: then it is read once more.
func (h *Hub) readReservations(ctx context.Context, ids []string) error {
	epoch, _ := h.history()
	reservations, err := h.cfg.Reservations.ReadReservations(ctx, ids)
	if err != nil {
		return err
	}
	found := make(map[string]bool, len(ids))
	for _, r := range reservations {
		if r != nil {
			found[r.ID] = true
			h.deliverReservation(epoch, r)
		}
	}
	for _, id := range ids {
		if !found[id] {
			h.reservations.vanish(id, epoch, ErrNoReservation)
		}
	}
	return nil
}

// known tells whether anything is known of an id that is watched.
func (b *board[T]) known(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[b.channel(id)]
	return t != nil && t.latest != nil
}
