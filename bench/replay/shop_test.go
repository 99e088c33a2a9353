package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"onhand/models"
	"onhand/store/stockfile"
)

// shop is a server in miniature: right about stock, and as unreliable as a test wants it.
type shop struct {
	// trouble is asked before each call; tests replace it before the first one.
	trouble func(call int, operation string) trouble
	// forgetful shops do not know idempotency keys.
	forgetful bool
	// listing changes what the products connection lists.
	listing func(ids []string) []string

	mu      sync.Mutex
	calls   int
	stock   map[string]*models.Quantities
	holds   map[string][]stockfile.InvoiceLine
	answers map[string]map[string]any
}

// trouble is what happens to one call.
type trouble int

const (
	none          trouble = iota
	lostQuestion          // the connection breaks before anything is done
	lostAnswer            // the connection breaks after everything was done
	unavailable           // a fault that says: later
	internal              // a fault that says nothing
	badGateway            // somebody in between answers
	sameKeyAtOnce         // the first attempt is still being worked on
)

// newShop serves a shop with this opening stock.
func newShop(t *testing.T, rows []models.OpeningRow) (*shop, string) {
	t.Helper()
	s := &shop{
		trouble: func(int, string) trouble { return none },
		listing: func(ids []string) []string { return ids },
		stock:   map[string]*models.Quantities{}, holds: map[string][]stockfile.InvoiceLine{}, answers: map[string]map[string]any{},
	}
	for _, row := range rows {
		s.stock[row.ProductID] = &models.Quantities{Available: row.Available}
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// ServeHTTP answers the program's own documents, told apart by their names.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Query     string
		Variables struct {
			Input input
			First int
			After string
			IDs   []string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, name, _ := strings.Cut(request.Query, " ")
	operation, _, _ := strings.Cut(name, "(")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	what := none
	if !strings.HasPrefix(operation, "__typename") {
		what = s.trouble(s.calls, operation)
	}
	switch what {
	case lostQuestion:
		panic(http.ErrAbortHandler)
	case unavailable:
		reply(w, `{"errors":[{"message":"later","extensions":{"code":"UNAVAILABLE"}}],"data":null}`)
		return
	case internal:
		reply(w, `{"errors":[{"message":"oh","extensions":{"code":"INTERNAL"}}],"data":null}`)
		return
	case badGateway:
		http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
		return
	case sameKeyAtOnce:
		reply(w, `{"data":{"answer":{"replayed":false,"errors":[{"__typename":"IdempotencyError","message":"wait","code":"CONCURRENT_REQUEST"}]}}}`)
		return
	}
	v := request.Variables
	data := map[string]any{}
	switch operation {
	case "Reserve", "Commit", "Adjust":
		data["answer"] = s.keyed(operation, v.Input)
	case "Products":
		data["products"] = s.products(v.First, v.After)
	case "Stocks":
		data["stocks"] = s.stocks(v.IDs)
	}
	if what == lostAnswer {
		panic(http.ErrAbortHandler)
	}
	raw, _ := json.Marshal(map[string]any{"data": data}) // maps of plain values
	reply(w, string(raw))
}

func reply(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprint(w, body)
}

// input has the fields of all three mutations.
type input struct {
	IdempotencyKey string
	ID             string
	Lines          []struct {
		ProductID string
		Quantity  int
	}
	Rows []struct {
		ProductID, LocationID string
		Delta                 int
	}
}

func (s *shop) keyed(operation string, in input) map[string]any {
	if first, ok := s.answers[in.IdempotencyKey]; ok && !s.forgetful {
		again := map[string]any{}
		for k, v := range first {
			again[k] = v
		}
		again["replayed"] = true
		return again
	}
	done := map[string]func(input) (any, []any){"Reserve": s.reserve, "Commit": s.commit, "Adjust": s.adjust}[operation]
	reservation, errs := done(in)
	if errs == nil {
		errs = []any{}
	}
	a := map[string]any{"reservation": reservation, "replayed": false, "errors": errs}
	s.answers[in.IdempotencyKey] = a
	return a
}

func shortage() []any {
	return []any{map[string]any{"__typename": "InsufficientStockError", "message": "not enough"}}
}

func (s *shop) reserve(in input) (any, []any) {
	wanted := map[string]int{}
	for _, line := range in.Lines {
		wanted[line.ProductID] += line.Quantity
	}
	for id, n := range wanted {
		if q := s.stock[id]; q == nil || q.Available < n {
			return nil, shortage()
		}
	}
	id := fmt.Sprintf("res_%d", len(s.holds))
	s.holds[id] = []stockfile.InvoiceLine{}
	for product, n := range wanted {
		s.stock[product].Available -= n
		s.stock[product].Reserved += n
		s.holds[id] = append(s.holds[id], stockfile.InvoiceLine{ProductID: product, Units: n})
	}
	return map[string]any{"id": id, "state": "ACTIVE"}, nil
}

func (s *shop) commit(in input) (any, []any) {
	for _, line := range s.holds[in.ID] {
		s.stock[line.ProductID].Reserved -= line.Units
		s.stock[line.ProductID].Committed += line.Units
	}
	return map[string]any{"id": in.ID, "state": "COMMITTED"}, nil
}

func (s *shop) adjust(in input) (any, []any) {
	after := map[string]int{}
	for _, row := range in.Rows {
		if _, ok := after[row.ProductID]; !ok {
			after[row.ProductID] = s.stock[row.ProductID].Available
		}
		after[row.ProductID] += row.Delta
		if after[row.ProductID] < 0 {
			return nil, shortage()
		}
	}
	for id, n := range after {
		s.stock[id].Available = n
	}
	return nil, nil
}

func (s *shop) products(first int, after string) any {
	var ids []string
	for id := range s.stock {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = s.listing(ids)
	from, _ := slices.BinarySearch(ids, after+"\x00")
	to := min(from+first, len(ids))
	nodes := []any{}
	for _, id := range ids[from:to] {
		nodes = append(nodes, map[string]any{"productId": id})
	}
	return map[string]any{"nodes": nodes, "pageInfo": map[string]any{"hasNextPage": to < len(ids), "endCursor": ids[to-1]}}
}

func (s *shop) stocks(ids []string) any {
	list := []any{}
	for _, id := range ids {
		q := s.stock[id]
		if q == nil {
			list = append(list, nil)
			continue
		}
		list = append(list, map[string]any{"productId": id, "levels": []any{map[string]any{
			"available": q.Available, "reserved": q.Reserved, "committed": q.Committed, "damaged": q.Damaged,
			"qualityControl": q.QualityControl, "safetyStock": q.SafetyStock, "incoming": q.Incoming,
		}}})
	}
	return list
}
