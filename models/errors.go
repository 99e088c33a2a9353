package models

import (
	"errors"
	"fmt"
)

// Code is the machine-readable kind of a fault, sent to clients as
// extensions.code.
type Code string

// The fault codes.
const (
	CodeBadUserInput    Code = "BAD_USER_INPUT"
	CodeUnauthenticated Code = "UNAUTHENTICATED"
	CodeForbidden       Code = "FORBIDDEN"
	CodeRateLimited     Code = "RATE_LIMITED"
	CodeUnavailable     Code = "UNAVAILABLE"
	CodeInternal        Code = "INTERNAL"
)

// Fault is an error a request ends with: the message is written for clients,
// the cause only for the log.
type Fault struct {
	Code    Code
	Message string
	Cause   error
}

// Error gives code, message and cause, for the log.
func (f *Fault) Error() string {
	if f.Cause == nil {
		return fmt.Sprintf("%s: %s", f.Code, f.Message)
	}
	return fmt.Sprintf("%s: %s: %v", f.Code, f.Message, f.Cause)
}

// Unwrap gives the cause to errors.Is and errors.As.
func (f *Fault) Unwrap() error { return f.Cause }

// BadInput is a fault for input that no retry will make right.
func BadInput(format string, args ...any) error {
	return &Fault{Code: CodeBadUserInput, Message: fmt.Sprintf(format, args...)}
}

// Unavailable is a fault that a later retry may well survive: the database
// cannot be reached, a bounded queue is full.
func Unavailable(message string, cause error) error {
	return &Fault{Code: CodeUnavailable, Message: message, Cause: cause}
}

// CodeOf returns the fault code of an error, CodeInternal where it has none.
func CodeOf(err error) Code {
	var f *Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return CodeInternal
}

// UserError is a business failure: it is part of an answer, not a fault.
type UserError interface {
	// GetMessage is one sentence for people.
	GetMessage() string
	// GetPath points into the input that caused it, such as ["input","lines","2","quantity"].
	GetPath() []string
	IsUserError()
}

// Failure is the common part of every UserError.
type Failure struct {
	Message string   `json:"message"`
	Path    []string `json:"path"`
}

// GetMessage is one sentence for people.
func (f Failure) GetMessage() string { return f.Message }

// GetPath points into the input.
func (f Failure) GetPath() []string { return f.Path }

// IsUserError marks business failures.
func (f Failure) IsUserError() {}

// InsufficientStockError says that a line asks for more than can be sold now.
type InsufficientStockError struct {
	Failure
	ProductID string `json:"productId"`
	Requested int    `json:"requested"` // units, over all lines of the product
	Available int    `json:"available"` // units that a hold could get now
}

// QuantityLimitExceededError says that a quantity is over a bound.
type QuantityLimitExceededError struct {
	Failure
	ProductID string `json:"productId"`
	Requested int    `json:"requested"`
	Limit     int    `json:"limit"`
}

// StaleQuantityError says that a compare-and-set met another quantity.
type StaleQuantityError struct {
	Failure
	Expected int   `json:"expected"`
	Actual   int   `json:"actual"`
	Version  int64 `json:"version"`
}

// ReservationNotActiveError says that a reservation is no longer (or not yet)
// in the state the request needs.
type ReservationNotActiveError struct {
	Failure
	State ReservationState `json:"state"`
}

// IdempotencyCode is the kind of an IdempotencyError.
type IdempotencyCode string

// The idempotency codes.
const (
	// ConcurrentRequest: the same key is being worked on right now; retry.
	ConcurrentRequest IdempotencyCode = "CONCURRENT_REQUEST"
	// KeyParameterMismatch: the key was used before with another input.
	KeyParameterMismatch IdempotencyCode = "KEY_PARAMETER_MISMATCH"
)

// IdempotencyError says that an idempotency key cannot be honoured.
type IdempotencyError struct {
	Failure
	Code IdempotencyCode `json:"code"`
}

// NotFoundError says that the input names something that does not exist.
type NotFoundError struct {
	Failure
}

// InvalidInputError says that a value of the input can never be right.
type InvalidInputError struct {
	Failure
}

// Invalid makes an InvalidInputError.
func Invalid(path []string, format string, args ...any) InvalidInputError {
	return InvalidInputError{Failure{Message: fmt.Sprintf(format, args...), Path: path}}
}

// NotFound makes a NotFoundError.
func NotFound(path []string, format string, args ...any) NotFoundError {
	return NotFoundError{Failure{Message: fmt.Sprintf(format, args...), Path: path}}
}
