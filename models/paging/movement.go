package paging

import "onhand/models"

// MovementRequest asks for a page of the ledger, newest first: First movements older
// than After, or the Last movements newer than Before. After and Before are
// movement ids, 0 for none.
type MovementRequest struct {
	First, Last   int
	After, Before int64
}

// MovementPage is the answer to a MovementRequest, newest first.
//
// The work for one page is bounded. Where few movements match the filter, a page
// can have fewer movements than asked for, or none, and a next page all the same.
type MovementPage struct {
	Movements        []*models.StockMovement
	HasNext, HasPrev bool
	// Start and End are the movement ids that the previous and the next page begin
	// from; 0 where there is nothing to begin from.
	Start, End int64
}
