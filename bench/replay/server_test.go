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

// fakeServer is a small server: right about stock, and as unreliable as a test wants it.
type fakeServer struct {
	// faultOf says what happens to each call; tests replace it before the first one.
	faultOf func(call int, operation string) callFault
	// ignoresKeys: it executes a repeated idempotency key again.
	ignoresKeys bool
	// listing changes what the products connection lists.
	listing func(ids []string) []string

	mu           sync.Mutex
	calls        int
	stock        map[string]*models.Quantities
	reservations map[string][]stockfile.InvoiceLine
	answers      map[string]map[string]any
}

// callFault is what goes wrong with one call.
type callFault int

const (
	none          callFault = iota
	lostRequest             // the connection breaks before anything is done
	lostAnswer              // the connection breaks after everything was done
	unavailable             // the code to try again with
	internal                // a code that says nothing
	badGateway              // a proxy answers
	sameKeyAtOnce           // the first attempt is still in flight
)

// newFakeServer serves this opening stock.
func newFakeServer(t *testing.T, rows []models.OpeningRow) (*fakeServer, string) {
	t.Helper()
	s := &fakeServer{
		faultOf: func(int, string) callFault { return none },
		listing: func(ids []string) []string { return ids },
		stock:   map[string]*models.Quantities{}, reservations: map[string][]stockfile.InvoiceLine{}, answers: map[string]map[string]any{},
	}
	for _, row := range rows {
		s.stock[row.ProductID] = &models.Quantities{Available: row.Available}
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// ServeHTTP answers the program's own documents, by their names.
func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Query     string
		Variables struct {
			Input mutationInput
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
		what = s.faultOf(s.calls, operation)
	}
	switch what {
	case lostRequest:
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

// mutationInput has the fields of all three mutations.
type mutationInput struct {
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

func (s *fakeServer) keyed(operation string, in mutationInput) map[string]any {
	if first, ok := s.answers[in.IdempotencyKey]; ok && !s.ignoresKeys {
		again := map[string]any{}
		for k, v := range first {
			again[k] = v
		}
		again["replayed"] = true
		return again
	}
	execute := map[string]func(mutationInput) (any, []any){"Reserve": s.reserve, "Commit": s.commit, "Adjust": s.adjust}[operation]
	reservation, errs := execute(in)
	if errs == nil {
		errs = []any{}
	}
	a := map[string]any{"reservation": reservation, "replayed": false, "errors": errs}
	if len(errs) == 0 { // a refusal binds no key
		s.answers[in.IdempotencyKey] = a
	}
	return a
}

func shortage() []any {
	return []any{map[string]any{"__typename": "InsufficientStockError", "message": "not enough"}}
}

func (s *fakeServer) reserve(in mutationInput) (any, []any) {
	wanted := map[string]int{}
	for _, line := range in.Lines {
		wanted[line.ProductID] += line.Quantity
	}
	for id, n := range wanted {
		if q := s.stock[id]; q == nil || q.Available < n {
			return nil, shortage()
		}
	}
	id := fmt.Sprintf("res_%d", len(s.reservations))
	s.reservations[id] = []stockfile.InvoiceLine{}
	for product, n := range wanted {
		s.stock[product].Available -= n
		s.stock[product].Reserved += n
		s.reservations[id] = append(s.reservations[id], stockfile.InvoiceLine{ProductID: product, Units: n})
	}
	return map[string]any{"id": id, "state": "ACTIVE"}, nil
}

func (s *fakeServer) commit(in mutationInput) (any, []any) {
	for _, line := range s.reservations[in.ID] {
		s.stock[line.ProductID].Reserved -= line.Units
		s.stock[line.ProductID].Committed += line.Units
	}
	return map[string]any{"id": in.ID, "state": "COMMITTED"}, nil
}

func (s *fakeServer) adjust(in mutationInput) (any, []any) {
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

func (s *fakeServer) products(first int, after string) any {
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

func (s *fakeServer) stocks(ids []string) any {
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
