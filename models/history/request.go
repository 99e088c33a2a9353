package history

import (
	"time"

	"onhand/models"
)

// Bounds of a request.
const (
	// PointsMin and PointsMax bound the points of one product.
	PointsMin, PointsMax = 2, 500
	// ProductsMax bounds the products of one request: a page with sparklines.
	ProductsMax = 50
	// PointsTotalMax bounds products times points.
	PointsTotalMax = 5000
	// SpanMax bounds the time between the first and the last point.
	SpanMax = 366 * 24 * time.Hour
)

// HistoryRequest asks for the stock of products at evenly spaced moments.
type HistoryRequest struct {
	ProductIDs []string
	// Since is the first moment, Until the last; nil for now.
	Since  time.Time
	Until  *time.Time
	Points int
}

// Check refuses a request out of bounds.
//
// Errors: bad input.
func (r HistoryRequest) Check() error {
	switch n := len(r.ProductIDs); {
	case n < 1 || n > ProductsMax:
		return models.BadInput("ask for 1 to %d products at once, not %d", ProductsMax, n)
	case r.Points < PointsMin || r.Points > PointsMax:
		return models.BadInput("points must be between %d and %d", PointsMin, PointsMax)
	case n*r.Points > PointsTotalMax:
		return models.BadInput("products times points must be at most %d, not %d", PointsTotalMax, n*r.Points)
	}
	for i, id := range r.ProductIDs {
		if problem := models.CheckProductID(id); problem != "" {
			return models.BadInput("product id %d %s", i, problem)
		}
	}
	return nil
}

// Moments returns the moments of a request. now is the database's clock.
//
// Errors: bad input for moments in the future, and for a span out of bounds.
func (r HistoryRequest) Moments(now time.Time) (HistoryMoments, error) {
	since, until := r.Since.UTC().Truncate(time.Millisecond), now.UTC().Truncate(time.Millisecond)
	if r.Until != nil {
		if until = r.Until.UTC().Truncate(time.Millisecond); until.After(now) {
			return HistoryMoments{}, models.BadInput("until must not be in the future")
		}
	}
	steps := time.Duration(r.Points - 1)
	switch span := until.Sub(since); {
	case since.Year() < 1:
		return HistoryMoments{}, models.BadInput("since must be in the years 1 to 9999")
	case span < steps*time.Millisecond:
		return HistoryMoments{}, models.BadInput("since must be before until, a millisecond or more for each point")
	case span > SpanMax:
		return HistoryMoments{}, models.BadInput("since must be at most %d days before until", SpanMax/(24*time.Hour))
	}
	step := (until.Sub(since) / steps).Truncate(time.Millisecond)
	return HistoryMoments{First: until.Add(-steps * step), Step: step, Count: r.Points}, nil
}

// HistoryMoments are evenly spaced times, in milliseconds.
type HistoryMoments struct {
	First time.Time
	Step  time.Duration
	Count int
}

// At is one of the moments, counted from 0.
func (m HistoryMoments) At(i int) time.Time { return m.First.Add(time.Duration(i) * m.Step) }

// Last is the last moment.
func (m HistoryMoments) Last() time.Time { return m.At(m.Count - 1) }

// End is the last microsecond of the first moment's millisecond: what the database wrote
// by then belongs to the point.
func (m HistoryMoments) End() time.Time { return m.First.Add(time.Millisecond - time.Microsecond) }

// From returns the first moment at which a movement of this time had been written; Count
// when it came after all of them.
func (m HistoryMoments) From(movedAt time.Time) int {
	late := movedAt.Sub(m.End())
	if late <= 0 {
		return 0
	}
	return int(min(int64((late+m.Step-1)/m.Step), int64(m.Count)))
}
