package load

import (
	"encoding/json"
	"time"
)

// The documents. Each mutation is called answer, so that one type reads them all.
const (
	refusals = `errors { __typename ... on UserError { message path } ... on InsufficientStockError { productId requested available }
		... on ReservationNotActiveError { state } ... on IdempotencyError { code } }`
	payload = `{ reservation { id state expiresAt } replayed ` + refusals + ` }`

	// ReserveDocument reserves a cart.
	ReserveDocument = `mutation Reserve($input: ReserveStockInput!) { answer: reserveStock(input: $input) ` + payload + ` }`
	commitDocument  = `mutation Commit($input: CommitReservationInput!) { answer: commitReservation(input: $input) ` + payload + ` }`
	releaseDocument = `mutation Release($input: ReleaseReservationInput!) { answer: releaseReservation(input: $input) ` + payload + ` }`
	extendDocument  = `mutation Extend($input: ExtendReservationInput!) { answer: extendReservation(input: $input) ` + payload + ` }`
	adjustDocument  = `mutation Adjust($input: AdjustStockInput!) { answer: adjustStock(input: $input) {
		stocks { productId version } errors { __typename ... on UserError { message path } } } }`

	// PrimaryDocument reads one product from the database. No version is as high as this one: whatever Redis says, the
	// database is read, by a SELECT that starts after the request came.
	PrimaryDocument = `query Primary($id: ID!) { stock(productId: $id, minVersion: 9007199254740991) {
		version available: quantityAvailable reserved committed source } }`
	// PageDocument reads products as a storefront does.
	PageDocument = `query Page($ids: [ID!]!) { stocks(productIds: $ids) { productId version available: quantityAvailable source } }`

	watchDocument = `subscription Watch($ids: [ID!]!) { stockChanged(productIds: $ids) {
		productId version available: quantityAvailable reserved committed } }`
)

// PageData is the answer to PageDocument.
type PageData struct {
	Stocks []struct {
		ProductID string
		Version   int64
		Available int
		Source    string
	}
}

// WriteAnswer is that of any of the mutations.
type WriteAnswer struct {
	Reservation *struct {
		ID, State string
		ExpiresAt time.Time
	}
	Stocks   []struct{ Version int64 }
	Replayed bool
	Errors   []struct {
		Typename  string `json:"__typename"`
		Message   string
		Path      []string
		ProductID string
		Requested int
		Available int
		State     string
		Code      string
	}
}

// WriteData is the data that has a WriteAnswer.
type WriteData struct{ Answer WriteAnswer }

// ID is the reservation's, empty without one.
func (a WriteAnswer) ID() string {
	if a.Reservation == nil {
		return ""
	}
	return a.Reservation.ID
}

// Repeatable is the part that a repeat of the same key must say again. The state is not: it is that of the moment.
func (a WriteAnswer) Repeatable() string {
	raw, _ := json.Marshal(a.Errors) // plain structs; cannot fail
	return a.ID() + " " + string(raw)
}
