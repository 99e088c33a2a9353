package pages

import (
	"context"
	"slices"
	"strings"
	"time"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// The first window of time, and how windows grow and shrink.
const (
	windowFirst  = time.Second
	windowGrowth = 4
	windowShrink = 8
	windowLeast  = time.Microsecond // the resolution of created_at
)

// The times that created_at may have.
var (
	timeFirst = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	timeLast  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// ListReservations reads one page of reservations, newest first, by time and id.
//
// It reads windows of time. The BRIN summaries of Postgres, and an index of SQLite, find
// them.
//
// Errors: bad input for Last without Before.
func (p *Lists) ListReservations(ctx context.Context, page paging.ReservationRequest, filter paging.ReservationQuery) (paging.ReservationPage, error) {
	if page.Last > 0 && page.Before == (paging.ReservationPosition{}) {
		return paging.ReservationPage{}, models.BadInput("last needs before: the list begins with the newest reservation")
	}
	s := &reservationSearch{
		Lists: p, filter: filter, asked: page, descending: page.Last == 0, wanted: max(page.First, page.Last) + 1,
		low: timeFirst.Add(-windowLeast), high: timeLast, size: windowFirst,
	}
	s.narrow()
	if err := s.run(ctx); err != nil {
		return paging.ReservationPage{}, err
	}
	return s.page(ctx)
}

// reservationSearch searches one page among the reservations created after low and
// until high.
type reservationSearch struct {
	*Lists
	filter     paging.ReservationQuery
	asked      paging.ReservationRequest
	descending bool
	wanted     int // one more than the page holds
	low, high  time.Time
	size       time.Duration // of the next window

	found []paging.ReservationPosition
}

// narrow applies the filter's times and the page's positions.
func (s *reservationSearch) narrow() {
	if since := s.filter.Since; since != nil && since.Add(-windowLeast).After(s.low) {
		s.low = since.Add(-windowLeast)
	}
	if until := s.filter.Until; until != nil && until.Before(s.high) {
		s.high = *until
	}
	if after := s.asked.After.CreatedAt; !after.IsZero() && after.Before(s.high) {
		s.high = after
	}
	if before := s.asked.Before.CreatedAt; !before.IsZero() && before.Add(-windowLeast).After(s.low) {
		s.low = before.Add(-windowLeast)
	}
	if s.filter.OwnerRef != "" || s.filter.OrderRef != "" {
		s.size = s.high.Sub(s.low) // what has a summary of its own is found in any window
	}
}

// run narrows low and high to what it has not read yet, until enough is found, nothing
// is left, or reservationWindowsMax is reached.
func (s *reservationSearch) run(ctx context.Context) error {
	now, err := s.rows.ReadClock(ctx)
	if err != nil {
		return err
	}
	for range reservationWindowsMax {
		if !s.low.Before(s.high) || len(s.found) >= s.wanted {
			return nil
		}
		low, high := s.window(now)
		seen, found, err := s.read(ctx, low, high)
		if err != nil {
			return err
		}
		if seen > s.Bounds.Reservations && s.size > windowLeast {
			s.size = max(min(s.size, high.Sub(low))/windowShrink, windowLeast)
			continue
		}
		s.found = append(s.found, found...)
		if s.descending {
			s.high = low
		} else {
			s.low = high
		}
		s.size = grown(s.size)
	}
	return nil
}

// grown is the size of the next window; below the largest Duration.
func grown(size time.Duration) time.Duration {
	const most = time.Duration(1<<63-1) / windowGrowth
	return min(size, most) * windowGrowth
}

// window returns the next range of times. The first one reaches from now to the end:
// a clock may have been ahead.
func (s *reservationSearch) window(now time.Time) (low, high time.Time) {
	low, high = s.low, s.high
	if s.descending {
		begin := high
		if begin.After(now) {
			begin = now
		}
		if l := begin.Add(-s.size); l.After(low) {
			low = l
		}
	} else if h := low.Add(s.size); h.Before(high) && h.After(low) {
		high = h
	}
	return low.Truncate(windowLeast), high.Truncate(windowLeast)
}

// read looks through the reservations created after low and until high: how many there
// are, and the first of those that match. With more than fit a window, it returns too
// many.
func (s *reservationSearch) read(ctx context.Context, low, high time.Time) (seen int, found []paging.ReservationPosition, err error) {
	within := []string{"r.created_at > ?", "r.created_at <= ?"}
	withinArgs := []any{s.Fragments.Moment(low), s.Fragments.Moment(high)}
	if s.filter.OwnerRef != "" {
		within, withinArgs = append(within, "r.owner_ref = ?"), append(withinArgs, s.filter.OwnerRef)
	}
	if s.filter.OrderRef != "" {
		within, withinArgs = append(within, "r.order_ref = ?"), append(withinArgs, s.filter.OrderRef)
	}
	matches, args := s.matches()
	order := "created_at, reservation_id"
	if s.descending {
		order = "created_at DESC, reservation_id DESC"
	}
	args = append(args, withinArgs...)
	query := "WITH w AS (SELECT r.reservation_id, r.created_at, " + matches + " AS matches FROM reservations r WHERE " +
		strings.Join(within, " AND ") + " LIMIT ?) SELECT n.seen, x.reservation_id, x.created_at FROM (SELECT count(*) AS seen FROM w) n LEFT JOIN (" +
		"SELECT reservation_id, created_at FROM w WHERE matches ORDER BY " + order + " LIMIT ?) x ON true ORDER BY " + order
	db, cancel := s.ReadSession(ctx)
	defer cancel()
	rows, err := db.Raw(query, append(args, s.Bounds.Reservations+1, s.wanted-len(s.found))...).Rows()
	if err != nil {
		return 0, nil, s.Fault(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key []byte
		var at dialect.Instant
		if err := rows.Scan(&seen, &key, &at); err != nil {
			return 0, nil, s.Fault(err)
		}
		if len(key) > 0 {
			found = append(found, paging.ReservationPosition{CreatedAt: at.Time, ID: decide.ReservationID(key)})
		}
	}
	return seen, found, s.Fault(rows.Err())
}

// matches is the condition of the filter's other fields and of the page's positions.
func (s *reservationSearch) matches() (condition string, args []any) {
	parts := []string{"true"}
	add := func(part string, values ...any) { parts, args = append(parts, part), append(args, values...) }
	switch s.filter.State {
	case "":
	case models.ReservationActive: // an expiry is a predicate
		add("r.state = 'ACTIVE' AND r.expires_at > " + s.Fragments.Now)
	case models.ReservationExpired:
		add("(r.state = 'EXPIRED' OR r.state = 'ACTIVE' AND r.expires_at <= " + s.Fragments.Now + ")")
	default:
		add("r.state = ?", s.filter.State)
	}
	if s.filter.ProductID != "" {
		add(s.Fragments.ReservesProduct, s.filter.ProductID)
	}
	if key, ok := decide.ReservationKey(s.asked.After.ID); ok {
		add("(r.created_at < ? OR r.reservation_id < ?)", s.Fragments.Moment(s.asked.After.CreatedAt), key[:])
	}
	if key, ok := decide.ReservationKey(s.asked.Before.ID); ok {
		add("(r.created_at > ? OR r.reservation_id > ?)", s.Fragments.Moment(s.asked.Before.CreatedAt), key[:])
	}
	return "(" + strings.Join(parts, " AND ") + ")", args
}

// page reads the reservations that were found.
func (s *reservationSearch) page(ctx context.Context) (paging.ReservationPage, error) {
	more := len(s.found) >= s.wanted
	stopped := !more && s.low.Before(s.high)
	if more {
		s.found = s.found[:s.wanted-1]
	}
	if !s.descending {
		slices.Reverse(s.found)
	}
	var page paging.ReservationPage
	if n := len(s.found); n > 0 {
		page.Start, page.End = s.found[0], s.found[n-1]
	}
	if s.descending {
		page.HasNext, page.HasPrev = more || stopped, s.asked.After != paging.ReservationPosition{}
		if stopped { // what is left was created at high or earlier
			page.End = paging.ReservationPosition{CreatedAt: s.high}
		}
	} else {
		page.HasPrev, page.HasNext = more || stopped, true
		if stopped { // what is left was created after low
			page.Start = paging.ReservationPosition{CreatedAt: s.low.Add(windowLeast)}
		}
	}
	var err error
	page.Reservations, err = s.reservations(ctx)
	return page, err
}

// reservations reads what was found, in its order. A reservation whose state has changed
// since it was found no longer matches and is left out.
func (s *reservationSearch) reservations(ctx context.Context) ([]*models.Reservation, error) {
	ids := make([]string, len(s.found))
	for i, at := range s.found {
		ids[i] = at.ID
	}
	rows, err := s.rows.ReadReservations(ctx, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*models.Reservation, len(rows))
	for _, r := range rows {
		byID[r.ID] = r
	}
	list := make([]*models.Reservation, 0, len(ids))
	for _, id := range ids {
		if r := byID[id]; r != nil && (s.filter.State == "" || r.State == s.filter.State) {
			list = append(list, r)
		}
	}
	return list, nil
}
