package viewer

import (
	"context"
	"io"
	"sync/atomic"
	"unicode/utf8"

	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/owner"
)

// Reading is the caller's access to reservations that it reads.
func Reading(ctx context.Context) owner.Access {
	return owner.Access{Subject: guard.Caller(ctx), Orders: guard.Has(ctx, guard.ReadOrders)}
}

// Acting is the caller's access to reservations that it changes.
func Acting(ctx context.Context) owner.Access {
	return owner.Access{Subject: guard.Caller(ctx), Orders: guard.Has(ctx, guard.WriteOrders)}
}

// HolderOf is the holder of what the caller reserves. A caller with write:orders that names
// an ownerRef reserves for its customer. An anonymous caller is its address. Where no
// tokens are configured every caller has write:orders, and without an ownerRef there is no
// holder.
func HolderOf(ctx context.Context, ownerRef string) owner.Holder {
	if guard.TokensConfigured(ctx) && guard.IsAnonymous(ctx) {
		return owner.OfAddress(guard.Address(ctx))
	}
	if ownerRef != "" && guard.Has(ctx, guard.WriteOrders) {
		return owner.OfOwnerRef(ownerRef)
	}
	return owner.OfSubject(guard.Caller(ctx))
}

// AnonymousKeyMin is how many characters the idempotency key of an anonymous caller has at
// least: those of 128 random bits in base64. All anonymous callers share one scope of keys,
// and a guessed key would answer with the reservation of another caller.
const AnonymousKeyMin = 22

// GuessableKey is the refusal of an idempotency key that another caller might guess; nil
// for any other key.
func GuessableKey(ctx context.Context, key string) models.UserError {
	if key == "" || !guard.TokensConfigured(ctx) || !guard.IsAnonymous(ctx) || utf8.RuneCountInString(key) >= AnonymousKeyMin {
		return nil
	}
	return models.Invalid(models.InputPath("idempotencyKey"), "must have at least %d characters without a token: use a random UUID", AnonymousKeyMin)
}

// errNoReservation is the error of the store for an unknown reservation.
var errNoReservation = models.BadInput("no reservation with this id")

// WatchReservation returns a watch that ends when the reservation stops existing for the
// caller, because another subject has claimed it.
//
// Errors: that of an unknown reservation, where it does not exist for the caller; those of
// the watch.
func WatchReservation(ctx context.Context, access owner.Access, watch models.Watch[*models.Reservation]) (models.Watch[*models.Reservation], error) {
	first, err := watch.Next(ctx)
	if err == nil && !access.Reaches(first.Holder) {
		err = errNoReservation
	}
	if err != nil {
		watch.Close()
		return nil, err
	}
	w := &ownedWatch{Watch: watch, access: access}
	w.first.Store(first)
	return w, nil
}

// ownedWatch is the watch of a reservation for one caller.
type ownedWatch struct {
	models.Watch[*models.Reservation]
	access owner.Access
	first  atomic.Pointer[models.Reservation] // read before the others
}

// Next implements models.Watch.
func (w *ownedWatch) Next(ctx context.Context) (*models.Reservation, error) {
	if first := w.first.Swap(nil); first != nil {
		return first, nil
	}
	r, err := w.Watch.Next(ctx)
	if err == nil && !w.access.Reaches(r.Holder) {
		return nil, io.EOF
	}
	return r, err
}
