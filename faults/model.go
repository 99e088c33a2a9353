package faults

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkLimit bounds the search for an order in which a history is explained. Thousands of operations take a second; a
// search that lasts longer has found none.
const checkLimit = 60 * time.Second

// held is a hold's part of one product.
type held struct{ hold, units int }

// shelf is the state of one product: what is free, what live holds keep (by hold), what orders keep.
type shelf struct {
	available, committed int
	holds                []held // by hold
}

func (s shelf) reserved() (sum int) {
	for _, h := range s.holds {
		sum += h.units
	}
	return sum
}

func (s shelf) find(hold int) (int, bool) {
	return slices.BinarySearchFunc(s.holds, hold, func(h held, number int) int { return h.hold - number })
}

// with and without make a new shelf; the model must not change the one it was given.
func (s shelf) with(h held) shelf {
	at, _ := s.find(h.hold)
	s.holds = slices.Insert(slices.Clone(s.holds), at, h)
	s.available -= h.units
	return s
}

func (s shelf) without(at int) shelf {
	s.holds = slices.Delete(slices.Clone(s.holds), at, at+1)
	return s
}

func (s shelf) String() string {
	return fmt.Sprintf("%d free, %d held %v, %d ordered", s.available, s.reserved(), s.holds, s.committed)
}

// hashShelf mixes all numbers of a shelf, as FNV-1a does with bytes.
func hashShelf(state any) uint64 {
	s, sum := state.(shelf), uint64(14695981039346656037)
	mix := func(n int) { sum = (sum ^ uint64(n)) * 1099511628211 }
	mix(s.available)
	mix(s.committed)
	for _, h := range s.holds {
		mix(h.hold)
		mix(h.units)
	}
	return sum
}

func equalShelves(a, b any) bool {
	x, y := a.(shelf), b.(shelf)
	return x.available == y.available && x.committed == y.committed && slices.Equal(x.holds, y.holds)
}

// step is the whole truth about one product in a few lines: what each operation does to it, and which answers fit.
func step(s shelf, product string, o Operation) (bool, shelf) {
	at, live := s.find(o.Hold)
	switch o.Kind {
	case Read:
		return o.Seen[product] == Shelf{s.available, s.reserved(), s.committed}, s
	case Hold:
		return stepHold(s, product, o)
	case Expire:
		return stepExpire(s, o.Ended[product])
	case Commit, Release, Extend:
		if !o.Pending() && !o.Done {
			return !live, s
		}
		if !live {
			return o.Pending(), s
		}
		if o.Kind == Extend {
			return true, s
		}
		after, units := s.without(at), s.holds[at].units
		if o.Kind == Commit {
			after.committed += units
		} else {
			after.available += units
		}
		return true, after
	}
	return false, s
}

// stepExpire ends holds together, as one transaction did: all of them must be there.
func stepExpire(s shelf, ended []int) (bool, shelf) {
	after := s
	for _, hold := range ended {
		at, live := after.find(hold)
		if !live {
			return false, s
		}
		after.available += after.holds[at].units
		after = after.without(at)
	}
	return true, after
}

func stepHold(s shelf, product string, o Operation) (bool, shelf) {
	units := o.Lines[product]
	enough := s.available >= units
	if o.Done || o.Pending() {
		if !enough {
			return o.Pending(), s
		}
		return true, s.with(held{o.Hold, units})
	}
	// All shortages of a cart are told together, each with what there is.
	said, short := o.Short[product]
	if short {
		return !enough && said == s.available, s
	}
	return enough, s
}

// modelOf is porcupine's model of one product with so much opening stock.
func modelOf(product string, opening int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return shelf{available: opening} },
		Step: func(state, input, _ any) (bool, any) { return step(state.(shelf), product, input.(Operation)) },

		Equal: equalShelves, Hash: hashShelf,
		DescribeOperation: func(input, _ any) string { return input.(Operation).String() },
		DescribeState:     func(state any) string { return state.(shelf).String() },
	}
}

// of picks the operations that are about one product. A refusal because the hold's time was over fits everywhere and only
// makes the search longer: past its time a hold is over at once, whenever its row is changed. holds.go looks at those.
func of(product string, operations []Operation) []porcupine.Operation {
	var found []porcupine.Operation
	for _, o := range operations {
		_, holds := o.Lines[product]
		_, reads := o.Seen[product]
		_, ends := o.Ended[product]
		over := !o.Pending() && !o.Done && o.State == stateExpired
		if (holds || reads || ends) && !over {
			found = append(found, porcupine.Operation{ClientId: o.Customer, Input: o, Call: o.Call, Return: o.Return})
		}
	}
	return found
}

// Illegal are the products whose history nothing explains, each with the file that shows it.
type Illegal map[string]string

// Linearizable checks a history, product by product: is there an order of its operations, each at some moment between
// call and return, that explains every answer? The error is about the check itself.
func Linearizable(opening map[string]int, operations []Operation) (Illegal, error) {
	illegal := Illegal{}
	for _, product := range slices.Sorted(maps.Keys(opening)) {
		model, list := modelOf(product, opening[product]), of(product, operations)
		result, info := porcupine.CheckOperationsVerbose(model, list, checkLimit)
		switch result {
		case porcupine.Ok:
		case porcupine.Unknown:
			return illegal, fmt.Errorf("no order of the %d operations on %s was found or ruled out within %s", len(list), product, checkLimit)
		case porcupine.Illegal:
			file, err := os.CreateTemp("", "onhand-history-"+strings.Map(onlyName, product)+"-*.html")
			if err != nil {
				return illegal, err
			}
			illegal[product] = file.Name()
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

func onlyName(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}
