package push

import "context"

// Source is a subscription whose results are pending until they are taken.
type Source interface {
	// Next returns the payload of the next result, a GraphQL response in JSON; nil when
	// none is pending. An error ends the subscription.
	Next() (payload []byte, err error)
	// Close ends the subscription.
	Close()
}

// Offer is a transport's offer to one operation.
type Offer struct {
	// Notify says that the source may have results, also before it is accepted. now: they
	// may be taken and written in the calling goroutine, which has nothing else to do.
	Notify func(now bool)

	source Source
}

type offerKey struct{}

// With returns a context with an offer.
func With(ctx context.Context, offer *Offer) context.Context {
	return context.WithValue(ctx, offerKey{}, offer)
}

// OfferIn returns the offer in a context; nil where there is none.
func OfferIn(ctx context.Context) *Offer {
	offer, _ := ctx.Value(offerKey{}).(*Offer)
	return offer
}

// Accept answers the operation with a source. The transport closes it.
func (o *Offer) Accept(source Source) { o.source = source }

// Accepted returns the source; nil where the offer was not accepted.
func (o *Offer) Accepted() Source { return o.source }
