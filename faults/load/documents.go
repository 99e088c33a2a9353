package load

import (
	"encoding/json"
	"slices"
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
		productId version available: quantityAvailable reserved committed source } }`
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
	Errors   []WriteError
}

// WriteError is one refusal, of any type.
type WriteError struct {
	Typename  string `json:"__typename"`
	Message   string
	Path      []string
	ProductID string
	Requested int
	Available int
	State     string
	Code      string
}

// The types of errors that customers meet.
const (
	insufficient  = "InsufficientStockError"
	notActive     = "ReservationNotActiveError"
	limitExceeded = "QuantityLimitExceededError"
)

// WriteData is the data that has a WriteAnswer.
type WriteData struct{ Answer WriteAnswer }

// ID is the reservation's, empty without one.
func (a WriteAnswer) ID() string {
	if a.Reservation == nil {
		return ""
	}
	return a.Reservation.ID
}

// Done reports that the write took effect. No document asks for a part of what there is.
func (a WriteAnswer) Done() bool { return a.Replayed || len(a.Errors) == 0 }

// TooLate reports that the key was free, and that the request came after its notAfter.
func (a WriteAnswer) TooLate() bool {
	return !a.Replayed && len(a.Errors) == 1 && a.Errors[0].Code == "NOT_AFTER_PASSED"
}

// Repeatable is the part that a repeat of the same key must say again. The state is not, nor the error that tells of it
// beside a replay: they are those of the moment.
func (a WriteAnswer) Repeatable() string {
	errs := append([]WriteError{}, a.Errors...)
	if a.Replayed {
		errs = slices.DeleteFunc(errs, func(e WriteError) bool { return e.Typename == notActive })
	}
	raw, _ := json.Marshal(errs) // plain structs; cannot fail
	return a.ID() + " " + string(raw)
}
