package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"onhand/bench/fixture"
)

// pageLength is how many products a request asks for, and entitiesLength how many keys a gateway sends.
const pageLength, entitiesLength = 20, 100

// question is what a workload asks.
type question struct {
	document string
	length   int // how many products a request asks for
	// variables are those of one request for these products.
	variables func(ids []string) any
	// found returns the product ids that an answer must have; nil where there are none.
	found func(data answerData) []string
}

// answerData is what the answers of all questions have.
type answerData struct {
	Stocks   []answerStock
	Stock    *answerStock
	Entities []struct{ Stock answerStock } `json:"_entities"`
	Products struct {
		Nodes    []struct{ Stock answerStock }
		PageInfo struct {
			HasNextPage bool
			EndCursor   string
		}
	}
}

type answerStock struct {
	ProductID         string
	QuantityAvailable int
}

func manyIDs(ids []string) any { return map[string]any{"ids": ids} }

func idsOf(stocks ...answerStock) []string {
	ids := make([]string, len(stocks))
	for i, s := range stocks {
		ids[i] = s.ProductID
	}
	return ids
}

func stocksOf(data answerData) []string { return idsOf(data.Stocks...) }

func entitiesOf(data answerData) []string {
	stocks := make([]answerStock, len(data.Entities))
	for i, entity := range data.Entities {
		stocks[i] = entity.Stock
	}
	return idsOf(stocks...)
}

// keysOf are the variables of a gateway that joins a catalogue's products with their stock.
func keysOf(ids []string) any {
	keys := make([]map[string]string, len(ids))
	for i, id := range ids {
		keys[i] = map[string]string{"__typename": "Product", "id": id}
	}
	return map[string]any{"representations": keys}
}

func nodesOf(data answerData) []string {
	stocks := make([]answerStock, len(data.Products.Nodes))
	for i, n := range data.Products.Nodes {
		stocks[i] = n.Stock
	}
	return idsOf(stocks...)
}

var (
	typename = question{document: "{ __typename }", variables: func([]string) any { return nil }}

	threeFields = question{
		document: `query($ids: [ID!]!) { stocks(productIds: $ids) { productId quantityAvailable version } }`,
		length:   pageLength, variables: manyIDs, found: stocksOf,
	}
	tenFields = question{
		document: `query($ids: [ID!]!) { stocks(productIds: $ids) {
			id productId status availableForSale quantityAvailable onHand reserved committed version
			levels { available reserved location { id name } } } }`,
		length: pageLength, variables: manyIDs, found: stocksOf,
	}
	productsByIDs = question{
		document: `query($ids: [ID!]) { products(first: 20, filter: {ids: $ids}) {
			nodes { stock { productId quantityAvailable version } } } }`,
		length: pageLength, variables: manyIDs, found: nodesOf,
	}
	// productsByPage gets its variables from pages.
	productsByPage = question{
		document: `query($after: String) { products(first: 20, after: $after) {
			nodes { stock { productId quantityAvailable version } } pageInfo { hasNextPage endCursor } } }`,
	}
	entities = question{
		document: `query($representations: [_Any!]!) { _entities(representations: $representations) {
			__typename ... on Product { stock { productId quantityAvailable version } } } }`,
		length: entitiesLength, variables: keysOf, found: entitiesOf,
	}
	oneProduct = question{
		document: `query($id: ID!) { stock(productId: $id) { productId quantityAvailable version } }`,
		length:   1, variables: func(ids []string) any { return map[string]any{"id": ids[0]} },
		found: func(data answerData) []string { return idsOf(*data.Stock) },
	}
)

// body is the body of a request.
func (q question) body(variables any) []byte {
	raw, _ := json.Marshal(map[string]any{"query": q.document, "variables": variables}) // plain values; cannot fail
	return raw
}

// products are the ids of a request, by the numbers of the products.
func products(numbers []int) []string {
	ids := make([]string, len(numbers))
	for i, n := range numbers {
		ids[i] = fixture.ShopProduct(n)
	}
	return ids
}

var (
	dataBegins = []byte(`{"data":{`)
	hasErrors  = []byte(`"errors":[`)
)

// checkFast fails unless an answer has data and no errors. It costs next to nothing.
func checkFast(answer []byte) error {
	if !bytes.HasPrefix(answer, dataBegins) || bytes.Contains(answer, hasErrors) {
		return fmt.Errorf("an answer that is not data: %.300s", answer)
	}
	return nil
}

// check fails unless an answer has the products that were asked for.
func (q question) check(answer []byte, ids []string) error {
	if q.found == nil {
		return nil
	}
	var read struct{ Data answerData }
	if err := json.Unmarshal(answer, &read); err != nil {
		return err
	}
	found := map[string]bool{}
	for _, id := range q.found(read.Data) {
		found[id] = true
	}
	for _, id := range ids {
		if !found[id] {
			return fmt.Errorf("an answer without %s: %.300s", id, answer)
		}
	}
	return nil
}

var quantityField = []byte(`"quantityAvailable":`)

// appendQuantities appends the quantities of an answer, in the order of its products.
func appendQuantities(to []int, answer []byte) []int {
	for {
		i := bytes.Index(answer, quantityField)
		if i < 0 {
			return to
		}
		answer = answer[i+len(quantityField):]
		n := 0
		for len(answer) > 0 && answer[0] >= '0' && answer[0] <= '9' {
			n, answer = n*10+int(answer[0]-'0'), answer[1:]
		}
		to = append(to, n)
	}
}
