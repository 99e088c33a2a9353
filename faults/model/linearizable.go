package model

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// searchLimit bounds the search for an order. Thousands of operations take a second; a search that lasts longer has
// found none.
const searchLimit = 60 * time.Second

// Illegal are the products whose history nothing explains, each with the file that shows it.
type Illegal map[string]string

// Linearizable checks a history, product by product: is there an order of its operations, each at some moment between
// call and return, that explains every answer? The error is about the check itself.
func Linearizable(opening map[string]int, operations []Operation) (Illegal, error) {
	illegal := Illegal{}
	for _, id := range slices.Sorted(maps.Keys(opening)) {
		model, list := modelOf(id, opening[id]), about(id, operations)
		result, info := porcupine.CheckOperationsVerbose(model, list, searchLimit)
		switch result {
		case porcupine.Ok:
		case porcupine.Unknown:
			return illegal, fmt.Errorf("no order of the %d operations on %s was found or ruled out within %s", len(list), id, searchLimit)
		case porcupine.Illegal:
			file, err := os.CreateTemp("", "onhand-history-"+strings.Map(fileRune, id)+"-*.html")
			if err != nil {
				return illegal, err
			}
			illegal[id] = file.Name()
			if err := porcupine.Visualize(model, info, file); err != nil {
				return illegal, err
			}
			if err := file.Close(); err != nil {
				return illegal, err
			}
		}
	}
	return illegal, nil
}

// modelOf is porcupine's model of one product with its opening stock.
func modelOf(id string, opening int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return product{available: opening} },
		Step: func(state, input, _ any) (bool, any) { return step(state.(product), id, input.(Operation)) },

		Equal: equalProducts, Hash: hashProduct,
		DescribeOperation: func(input, _ any) string { return input.(Operation).String() },
		DescribeState:     func(state any) string { return state.(product).String() },
	}
}

// about picks the operations on one product. A refusal because the reservation has expired fits everywhere and only makes
// the search longer: a reservation past its time is over at once, whenever its row is changed. The checker of
// reservations looks at those.
func about(id string, operations []Operation) []porcupine.Operation {
	var found []porcupine.Operation
	for _, o := range operations {
		_, reserves := o.Lines[id]
		_, reads := o.Seen[id]
		_, ends := o.Ended[id]
		expired := !o.Pending() && !o.Done && o.State == StateExpired
		if (reserves || reads || ends) && !expired {
			found = append(found, porcupine.Operation{ClientId: o.Customer, Input: o, Call: o.Call, Return: o.Return})
		}
	}
	return found
}

// hashProduct mixes all numbers of a state, as FNV-1a does with bytes.
func hashProduct(state any) uint64 {
	p, sum := state.(product), uint64(14695981039346656037)
	mix := func(n int) { sum = (sum ^ uint64(n)) * 1099511628211 }
	mix(p.available)
	mix(p.committed)
	for _, r := range p.reserved {
		mix(r.cart)
		mix(r.units)
	}
	return sum
}

func equalProducts(a, b any) bool {
	x, y := a.(product), b.(product)
	return x.available == y.available && x.committed == y.committed && slices.Equal(x.reserved, y.reserved)
}

// fileRune replaces what a file name may not have.
func fileRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}
