package models

import (
	"errors"
	"fmt"
	"time"
)

// Code is the machine-readable kind of a fault. Clients get it as extensions.code.
type Code string

// The fault codes.
const (
	CodeBadUserInput    Code = "BAD_USER_INPUT"
	CodeUnauthenticated Code = "UNAUTHENTICATED"
	CodeForbidden       Code = "FORBIDDEN"
	CodeRateLimited     Code = "RATE_LIMITED"
	CodeUnavailable     Code = "UNAVAILABLE"
	CodeInternal        Code = "INTERNAL"
	// CodePersistedQueryNotFound: the server does not know a document by this hash.
	CodePersistedQueryNotFound Code = "PERSISTED_QUERY_NOT_FOUND"
	// CodePersistedQueryNotSupported: the server wants whole documents.
	CodePersistedQueryNotSupported Code = "PERSISTED_QUERY_NOT_SUPPORTED"
)

// Fault is an error that ends a request. Message is for the client, Cause only for
// the log.
type Fault struct {
	Code    Code
	Message string
	Cause   error
}

// Error returns code, message and cause, for the log.
func (f *Fault) Error() string {
	if f.Cause == nil {
		return fmt.Sprintf("%s: %s", f.Code, f.Message)
	}
	return fmt.Sprintf("%s: %s: %v", f.Code, f.Message, f.Cause)
}

// Unwrap returns the cause, for errors.Is and errors.As.
func (f *Fault) Unwrap() error { return f.Cause }

// BadInput returns a fault for input that no retry makes valid.
func BadInput(format string, args ...any) error {
	return &Fault{Code: CodeBadUserInput, Message: fmt.Sprintf(format, args...)}
}

// Unavailable returns a fault for a request that can succeed later: the database
// cannot be reached, or a bounded queue is full.
func Unavailable(message string, cause error) error {
	return &Fault{Code: CodeUnavailable, Message: message, Cause: cause}
}

// CodeOf returns the fault code of an error; CodeInternal for an error without one.
func CodeOf(err error) Code {
	var f *Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return CodeInternal
}

// ErrNoNotifications says that a database sends no notifications; poll instead.
var ErrNoNotifications = errors.New("this database sends no notifications")

// ErrorCode is the machine-readable kind of a UserError.
type ErrorCode string

// The error codes.
const (
	ErrorInsufficientStock     ErrorCode = "INSUFFICIENT_STOCK"
	ErrorQuantityLimitExceeded ErrorCode = "QUANTITY_LIMIT_EXCEEDED"
	ErrorStaleQuantity         ErrorCode = "STALE_QUANTITY"
	ErrorSupersededCount       ErrorCode = "SUPERSEDED_COUNT"
	ErrorReservationNotActive  ErrorCode = "RESERVATION_NOT_ACTIVE"
	// ErrorConcurrentRequest: a request with the same key is in flight; retry.
	ErrorConcurrentRequest ErrorCode = "CONCURRENT_REQUEST"
	// ErrorKeyParameterMismatch: the key was used before, with another input.
	ErrorKeyParameterMismatch ErrorCode = "KEY_PARAMETER_MISMATCH"
	// ErrorNotAfterPassed: the key is not bound, and its NotAfter has passed.
	ErrorNotAfterPassed ErrorCode = "NOT_AFTER_PASSED"
	ErrorNotFound       ErrorCode = "NOT_FOUND"
	ErrorInvalidInput   ErrorCode = "INVALID_INPUT"
)

// UserError is a refusal that is part of an answer, not a fault.
type UserError interface {
	// GetMessage is one sentence for people.
	GetMessage() string
	// GetPath is where in the input the cause is, such as ["input","lines","2","quantity"].
	GetPath() []string
	// Code is why, for programs.
	Code() ErrorCode
	IsUserError()
}

// ReservationError is a refusal of a write to a reservation.
type ReservationError interface {
	UserError
	IsReservationError()
}

// StockError is a refusal of a write to stock.
type StockError interface {
	UserError
	IsStockError()
}

// SettingsError is a refusal of a write to products, locations or channels.
type SettingsError interface {
	UserError
	IsSettingsError()
}

// Failure has the fields of every UserError.
type Failure struct {
	Message string   `json:"message"`
	Path    []string `json:"path"`
}

// GetMessage is one sentence for people.
func (f Failure) GetMessage() string { return f.Message }

// GetPath is where in the input the cause is.
func (f Failure) GetPath() []string { return f.Path }

// IsUserError implements UserError.
func (f Failure) IsUserError() {}

// InsufficientStockError refuses a line that asks for more than can be sold now.
type InsufficientStockError struct {
	Failure
	ProductID string `json:"productId"`
	Requested int    `json:"requested"` // units, over all lines of the product
	Available int    `json:"available"` // units that a reservation could get now
}

// QuantityLimitExceededError refuses a quantity above a limit.
type QuantityLimitExceededError struct {
	Failure
	ProductID string `json:"productId"`
	Requested int    `json:"requested"`
	Limit     int    `json:"limit"`
	// PeriodSeconds is the period of a limit for each owner; nil for any other limit.
	PeriodSeconds *int `json:"periodSeconds,omitempty"`
}

// StaleQuantityError refuses a compare-and-set that found another quantity.
type StaleQuantityError struct {
	Failure
	Expected int   `json:"expected"`
	Actual   int   `json:"actual"`
	Version  int64 `json:"version"`
}

// SupersededCountError refuses a count that is older than the newest one of the same level
// and state, which was at CountedAt.
type SupersededCountError struct {
	Failure
	CountedAt time.Time `json:"countedAt"`
}

// ReservationNotActiveError refuses a change of a reservation that is not in the
// state that the change needs.
type ReservationNotActiveError struct {
	Failure
	State ReservationState `json:"state"`
}

// IdempotencyError refuses an idempotency key.
type IdempotencyError struct {
	Failure
	Cause ErrorCode `json:"code"` // ErrorConcurrentRequest, ErrorKeyParameterMismatch or ErrorNotAfterPassed
}

// NotFoundError refuses input that names something that does not exist.
type NotFoundError struct {
	Failure
}

// InvalidInputError refuses a value that no stock can make valid.
type InvalidInputError struct {
	Failure
}

// Code implements UserError.
func (InsufficientStockError) Code() ErrorCode     { return ErrorInsufficientStock }
func (QuantityLimitExceededError) Code() ErrorCode { return ErrorQuantityLimitExceeded }
func (StaleQuantityError) Code() ErrorCode         { return ErrorStaleQuantity }
func (SupersededCountError) Code() ErrorCode       { return ErrorSupersededCount }
func (ReservationNotActiveError) Code() ErrorCode  { return ErrorReservationNotActive }
func (e IdempotencyError) Code() ErrorCode         { return e.Cause }
func (NotFoundError) Code() ErrorCode              { return ErrorNotFound }
func (InvalidInputError) Code() ErrorCode          { return ErrorInvalidInput }

// IsReservationError implements ReservationError.
func (InsufficientStockError) IsReservationError()     {}
func (QuantityLimitExceededError) IsReservationError() {}
func (ReservationNotActiveError) IsReservationError()  {}
func (IdempotencyError) IsReservationError()           {}
func (NotFoundError) IsReservationError()              {}
func (InvalidInputError) IsReservationError()          {}

// IsStockError implements StockError.
func (InsufficientStockError) IsStockError()     {}
func (QuantityLimitExceededError) IsStockError() {}
func (StaleQuantityError) IsStockError()         {}
func (SupersededCountError) IsStockError()       {}
func (IdempotencyError) IsStockError()           {}
func (NotFoundError) IsStockError()              {}
func (InvalidInputError) IsStockError()          {}

// IsSettingsError implements SettingsError.
func (IdempotencyError) IsSettingsError()  {}
func (NotFoundError) IsSettingsError()     {}
func (InvalidInputError) IsSettingsError() {}

// Invalid returns an InvalidInputError.
func Invalid(path []string, format string, args ...any) InvalidInputError {
	return InvalidInputError{Failure{Message: fmt.Sprintf(format, args...), Path: path}}
}

// NotFound returns a NotFoundError.
func NotFound(path []string, format string, args ...any) NotFoundError {
	return NotFoundError{Failure{Message: fmt.Sprintf(format, args...), Path: path}}
}
