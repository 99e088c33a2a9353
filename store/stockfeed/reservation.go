package stockfeed

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"onhand/models"
)

const (
	// expiryMargin is how long after its expiry a reservation is refreshed, because
	// the clocks of two machines run at different speeds. It also bounds how often
	// such a refresh repeats.
	expiryMargin = 20 * time.Millisecond
	// epochSettleTime is how long after an epoch change a reservation that this
	// instance committed only causes a refresh. It may have been committed in the
	// earlier epoch, and a reservation does not say its epoch. A write takes at most
	// six seconds.
	epochSettleTime = 10 * time.Second
)

// ErrNoReservation says that the reservation to watch does not exist.
var ErrNoReservation = models.BadInput("no reservation with this id")

func notEnded(r *models.Reservation) bool { return !r.State.Ended() }

// reservationKind is the kind of models.Reservation.
type reservationKind struct {
	channels  ChannelNames
	refresher *refresher
}

func (k reservationKind) channel(id string) string { return k.channels.ReservationChannel(id) }

// accept lets versions only grow.
func (k reservationKind) accept(t *topic[models.Reservation], r *models.Reservation, first bool) bool {
	newer := first || r.Version > t.latest.Version
	if first || r.Version >= t.latest.Version {
		k.startExpiry(t, r)
	}
	return newer
}

// identical is false: a reservation is delivered again after an epoch change.
func (reservationKind) identical(_, _ *models.Reservation) bool { return false }

// startExpiry sets the topic's timer to the reservation's expiry. The database's
// clock says how far off the expiry is, so that this machine's clock may be
// wrong.
func (k reservationKind) startExpiry(t *topic[models.Reservation], r *models.Reservation) {
	t.stopExpiry()
	if r.State != models.ReservationActive || r.ServerTime.IsZero() {
		return // it does not expire, or only the periodic refresh can tell when
	}
	left := max(r.ExpiresAt.Sub(r.ServerTime), 0) + expiryMargin
	id := t.id
	t.expiry = time.AfterFunc(left, func() { k.refresher.add(id) })
}

// ReservationWatch is one watch of one reservation.
type ReservationWatch struct {
	hub     *Hub
	watcher *watcher[models.Reservation]
	over    atomic.Bool
	close   sync.Once
}

// WatchReservation begins to watch a reservation. It returns once the current
// state is read. Close the watch when done.
//
// Errors: ErrNoReservation, unavailable at one of the hub's bounds, ErrStopped,
// and the errors of reading the reservation.
func (h *Hub) WatchReservation(ctx context.Context, id string) (*ReservationWatch, error) {
	if err := h.acquireSlot(); err != nil {
		return nil, err
	}
	watcher, err := h.reservations.add([]string{id}, nil)
	if err != nil {
		h.releaseSlot()
		return nil, err
	}
	w := &ReservationWatch{hub: h, watcher: watcher}
	err = h.reservations.awaitConfirmed(ctx, watcher, h.cfg.ConfirmTimeout)
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
	h.reservations.deliverLatest(watcher)
	return w, nil
}

// Next waits for the next state: first the current one, then every newer one,
// each as of its ServerTime. After a state that has ended (neither ACTIVE nor COMMITTED)
// it returns io.EOF. Other errors: that of ctx, ErrStopped, ErrClosed, and
// ErrNoReservation if a restored database does not have the reservation.
func (w *ReservationWatch) Next(ctx context.Context) (*models.Reservation, error) {
	if w.over.Load() {
		return nil, io.EOF
	}
	r, err := w.watcher.queue.take(ctx)
	if err == nil && r.State.Ended() {
		w.over.Store(true)
	}
	return r, err
}

// Close ends the watch. It may be called more than once.
func (w *ReservationWatch) Close() {
	w.close.Do(func() {
		w.hub.reservations.remove(w.watcher)
		w.watcher.queue.close(ErrClosed)
		w.hub.releaseSlot()
	})
}

// DeliverReservations gives reservations that this instance has committed to
// its watches, without a round trip through Redis. It does not block.
func (h *Hub) DeliverReservations(reservations []*models.Reservation) {
	epoch, age := h.epoch.current()
	for _, r := range reservations {
		switch {
		case r == nil:
		case age < epochSettleTime:
			if h.reservations.known(r.ID) {
				h.reservations.refresher.add(r.ID)
			}
		default:
			h.deliverReservation(epoch, r)
		}
	}
}

func (h *Hub) deliverReservation(epoch string, r *models.Reservation) {
	current := r.At(r.ServerTime)
	if h.reservations.deliver(r.ID, epoch, &current, false) {
		h.reservations.refresher.add(r.ID)
	}
}

// readReservations reads and delivers. What it reads is of the epoch that was
// known before the read began, or of a later one; then it is read again.
func (h *Hub) readReservations(ctx context.Context, ids []string) error {
	epoch, _ := h.epoch.current()
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
			h.reservations.end(id, epoch, ErrNoReservation)
		}
	}
	return nil
}
