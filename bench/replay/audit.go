package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onhand/models"
)

const (
	// differencesMax is how many differences are listed; all are counted.
	differencesMax = 20
	// settleEvery is how often the audit looks again while a difference may still heal.
	settleEvery = 200 * time.Millisecond
	// auditTime bounds the whole audit.
	auditTime = 10 * time.Minute
	// auditProductsMax bounds how many products are audited, and with it the pages and the memory.
	auditProductsMax = 1_000_000
	// auditPage is how many products are asked for at once: the API's own bound.
	auditPage = models.StocksMax
)

// The queries of the audit.
const (
	productsDocument = `query Products($first: Int!, $after: String) {
  products(first: $first, after: $after) { nodes { productId } pageInfo { hasNextPage endCursor } }
}`
	stocksDocument = `query Stocks($ids: [ID!]!) {
  stocks(productIds: $ids) {
    productId
    levels { available reserved committed damaged qualityControl safetyStock incoming }
  }
}`
)

// AuditFindings is what the audit looked at and found.
type AuditFindings struct {
	Products    int  `json:"products"` // asked of the API
	Database    bool `json:"database"` // whether it was audited
	Redis       bool `json:"redis"`
	Levels      int  `json:"levels"`      // of the database, compared with the ledger
	Movements   int  `json:"movements"`   // of the ledger
	Hashes      int  `json:"hashes"`      // of Redis, compared with the database
	Differences int  `json:"differences"` // 0 is a pass
	// First are the first differences, one sentence each.
	First []string `json:"first"`
}

// differ counts a difference, and lists it while there is room.
func (r *AuditFindings) differ(format string, args ...any) {
	if r.Differences++; len(r.First) < differencesMax {
		r.First = append(r.First, fmt.Sprintf(format, args...))
	}
}

func (r AuditFindings) print(p func(string, ...any)) {
	p("audit        %d products through the API", r.Products)
	if r.Database {
		p("audit        %d levels of the database against %d ledger rows", r.Levels, r.Movements)
	}
	if r.Redis {
		p("audit        %d hashes of Redis against the database", r.Hashes)
	}
	for _, difference := range r.First {
		p("  differs:   %s", difference)
	}
	if more := r.Differences - len(r.First); more > 0 {
		p("  and %d more", more)
	}
	if r.Differences == 0 {
		p("audit        no difference found")
	}
}

// audit compares the expected stock with the API, and where asked the ledger with the levels and Redis with the
// database. The error says that the audit could not be done.
func audit(ctx context.Context, config Config, c *retryingClient, e *expectedStock) (AuditFindings, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTime)
	defer cancel()
	report := AuditFindings{First: []string{}}
	if err := auditAPI(ctx, config, c, e, &report); err != nil {
		return report, fmt.Errorf("audit through the API: %w", err)
	}
	if config.AuditDatabase == "" {
		return report, nil
	}
	if err := auditStore(ctx, config, &report); err != nil {
		return report, fmt.Errorf("audit the database: %w", err)
	}
	return report, nil
}

// auditAPI walks the products connection and compares the stock of every product with what is expected.
func auditAPI(ctx context.Context, config Config, c *retryingClient, e *expectedStock, report *AuditFindings) error {
	listed, err := listProducts(ctx, c, report)
	if err != nil {
		return err
	}
	report.Products = len(listed)
	for id := range e.products {
		if _, ok := listed[id]; !ok {
			report.differ("product %q is in the file, but not in the products connection", id)
		}
	}
	pending := make([]string, 0, len(listed))
	for id := range listed {
		pending = append(pending, id)
	}
	slices.Sort(pending)
	return settle(ctx, config.Settle, report, pending, func(_ int, ids []string) (map[string]string, error) {
		return compareStocks(ctx, c, e, ids)
	})
}

// settle compares ids, and compares those that differ again until the time is over: cache and outbox may be late by a
// moment. What then still differs is reported. compare gets the number of the round, and returns a sentence for each id
// that differs.
func settle(ctx context.Context, within time.Duration, report *AuditFindings, ids []string,
	compare func(round int, ids []string) (map[string]string, error),
) error {
	deadline := time.Now().Add(within)
	for round := 0; ; round++ {
		found := map[string]string{}
		var again []string
		for page := range slices.Chunk(ids, auditPage) {
			differ, err := compare(round, page)
			if err != nil {
				return err
			}
			for _, id := range page {
				if sentence, ok := differ[id]; ok {
					again, found[id] = append(again, id), sentence
				}
			}
		}
		if len(again) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			for _, id := range again {
				report.differ("%s", found[id])
			}
			return nil
		}
		ids = again
		if err := waitUntil(ctx, time.Now().Add(settleEvery)); err != nil {
			return err
		}
	}
}

// listProducts reads every page of the products connection; a product listed twice is a difference.
func listProducts(ctx context.Context, c *retryingClient, report *AuditFindings) (map[string]struct{}, error) {
	listed := map[string]struct{}{}
	after := ""
	for {
		var page struct {
			Products struct {
				Nodes []struct {
					ProductID string `json:"productId"`
				} `json:"nodes"`
				PageInfo struct {
					HasNextPage bool   `json:"hasNextPage"`
					EndCursor   string `json:"endCursor"`
				} `json:"pageInfo"`
			} `json:"products"`
		}
		variables := map[string]any{"first": auditPage}
		if after != "" {
			variables["after"] = after
		}
		if err := c.query(ctx, productsDocument, variables, &page, nil); err != nil {
			return nil, err
		}
		for _, node := range page.Products.Nodes {
			if _, twice := listed[node.ProductID]; twice {
				report.differ("product %q is listed twice by the products connection", node.ProductID)
			}
			listed[node.ProductID] = struct{}{}
		}
		if len(listed) > auditProductsMax {
			return nil, fmt.Errorf("more than %d products", auditProductsMax)
		}
		if !page.Products.PageInfo.HasNextPage {
			return listed, nil
		}
		if after == page.Products.PageInfo.EndCursor || len(page.Products.Nodes) == 0 {
			return nil, errors.New("the products connection does not advance")
		}
		after = page.Products.PageInfo.EndCursor
	}
}

// compareStocks reads one page of stocks and says what is wrong with each.
func compareStocks(ctx context.Context, c *retryingClient, e *expectedStock, ids []string) (map[string]string, error) {
	var data struct {
		Stocks []*struct {
			ProductID string              `json:"productId"`
			Levels    []models.Quantities `json:"levels"` // the names match, whatever their case
		} `json:"stocks"`
	}
	if err := c.query(ctx, stocksDocument, map[string]any{"ids": ids}, &data, nil); err != nil {
		return nil, err
	}
	if len(data.Stocks) != len(ids) {
		return nil, fmt.Errorf("asked for %d stocks, got %d", len(ids), len(data.Stocks))
	}
	differ := map[string]string{}
	for i, id := range ids {
		stock := data.Stocks[i]
		if stock == nil || stock.ProductID != id {
			differ[id] = fmt.Sprintf("product %q is listed, but stocks does not give it in its place", id)
			continue
		}
		var total models.Quantities
		for _, level := range stock.Levels {
			if s := negative(level); s != "" {
				differ[id] = fmt.Sprintf("product %q has negative %s", id, s)
			}
			total = total.Plus(level)
		}
		if sentence := compareProduct(e, id, total); sentence != "" {
			differ[id] = sentence
		}
	}
	return differ, nil
}

// compareProduct compares one product's stock with what is expected. The run did not touch a product that is not in the
// file, so nothing is expected of it.
func compareProduct(e *expectedStock, id string, total models.Quantities) string {
	want, ok := e.product(id)
	if !ok || (total.Available == want.available() && total.Reserved == 0 && total.Committed == want.sold) {
		return ""
	}
	return fmt.Sprintf("product %q has available %d, reserved %d, committed %d; it opened with %d, sold %d, got back %d and wrote off %d, "+
		"so it should be %d, 0, %d",
		id, total.Available, total.Reserved, total.Committed,
		want.opening, want.sold, want.returned, want.writtenOff, want.available(), want.sold)
}

// states are all quantity states, in the order of the tables' columns.
var states = []models.State{
	models.Available, models.Reserved, models.Committed, models.Damaged, models.QualityControl, models.SafetyStock, models.Incoming,
}

// negative names the first state that is below zero; empty for none.
func negative(q models.Quantities) string {
	for _, s := range states {
		if n := *q.Of(s); n < 0 {
			return fmt.Sprintf("%s: %d", s, n)
		}
	}
	return ""
}
