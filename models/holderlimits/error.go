package holderlimits

import (
	"fmt"

	"onhand/models"
)

// The codes of a LimitError.
const (
	// TooManyReservations: the holder has as many active reservations as it may.
	TooManyReservations models.ErrorCode = "TOO_MANY_RESERVATIONS"
	// TooManyUnits: the holder's active reservations would have too many units of a product.
	TooManyUnits models.ErrorCode = "TOO_MANY_UNITS"
	// ShareTooLarge: the holder's active reservations would have too large a part of a
	// product's stock.
	ShareTooLarge models.ErrorCode = "SHARE_TOO_LARGE"
	// TooManyExtensions: the time to live was restarted as often as it may be.
	TooManyExtensions models.ErrorCode = "TOO_MANY_EXTENSIONS"
	// ReservedTooLong: the reservation would keep its stock for too long.
	ReservedTooLong models.ErrorCode = "RESERVED_TOO_LONG"
)

// LimitError refuses a write that would keep too much stock from others.
type LimitError struct {
	models.Failure
	Cause models.ErrorCode `json:"code"`
	// ProductID is empty where the limit is of no product.
	ProductID string `json:"productId,omitempty"`
	// Limit is in reservations, units, percent, extensions or seconds. A share is told in
	// percent, because units would tell the stock.
	Limit int `json:"limit"`
}

// Code implements models.UserError.
func (e LimitError) Code() models.ErrorCode { return e.Cause }

// IsReservationError implements models.ReservationError.
func (LimitError) IsReservationError() {}

// Product is the product whose limit it is; nil for none.
func (e LimitError) Product() *string {
	if e.ProductID == "" {
		return nil
	}
	return &e.ProductID
}

// Refusal returns a LimitError.
func Refusal(code models.ErrorCode, limit int, path []string, format string, args ...any) LimitError {
	return LimitError{Failure: models.Failure{Message: fmt.Sprintf(format, args...), Path: path}, Cause: code, Limit: limit}
}
