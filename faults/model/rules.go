package model

import (
	"fmt"
	"slices"
)

// product is the state of one product: what is available, what live reservations keep, what orders keep.
type product struct {
	available, committed int
	reserved             []reservedUnits // by cart
}

// reservedUnits is a reservation's part of one product.
type reservedUnits struct{ cart, units int }

func (p product) totalReserved() (sum int) {
	for _, r := range p.reserved {
		sum += r.units
	}
	return sum
}

func (p product) find(cart int) (int, bool) {
	return slices.BinarySearchFunc(p.reserved, cart, func(r reservedUnits, number int) int { return r.cart - number })
}

// with and without make a new state: the model must not change the one it was given.
func (p product) with(r reservedUnits) product {
	at, _ := p.find(r.cart)
	p.reserved = slices.Insert(slices.Clone(p.reserved), at, r)
	p.available -= r.units
	return p
}

func (p product) without(at int) product {
	p.reserved = slices.Delete(slices.Clone(p.reserved), at, at+1)
	return p
}

func (p product) String() string {
	return fmt.Sprintf("%d available, %d reserved %v, %d committed", p.available, p.totalReserved(), p.reserved, p.committed)
}

// step is the whole truth about one product in a few lines: what each operation does to it, and which answers fit.
func step(p product, id string, o Operation) (fits bool, after product) {
	at, live := p.find(o.Cart)
	switch o.Kind {
	case Read:
		return o.Seen[id] == StateCounts{p.available, p.totalReserved(), p.committed}, p
	case Reserve:
		return stepReserve(p, id, o)
	case Expire:
		return stepExpire(p, o.Ended[id])
	case Commit, Release, Extend:
		if !o.Pending() && !o.Done {
			return !live, p
		}
		if !live {
			return o.Pending(), p
		}
		if o.Kind == Extend {
			return true, p
		}
		after, units := p.without(at), p.reserved[at].units
		if o.Kind == Commit {
			after.committed += units
		} else {
			after.available += units
		}
		return true, after
	}
	return false, p
}

// stepExpire ends carts together, as one transaction did: all of them must be live.
func stepExpire(p product, ended []int) (bool, product) {
	after := p
	for _, cart := range ended {
		at, live := after.find(cart)
		if !live {
			return false, p
		}
		after.available += after.reserved[at].units
		after = after.without(at)
	}
	return true, after
}

func stepReserve(p product, id string, o Operation) (bool, product) {
	units := o.Lines[id]
	enough := p.available >= units
	if o.Done || o.Pending() {
		if !enough {
			return o.Pending(), p
		}
		return true, p.with(reservedUnits{o.Cart, units})
	}
	// A refusal names all shortages of a cart, each with what is available.
	shown, short := o.Short[id]
	if short {
		return !enough && shown == p.available, p
	}
	return enough, p
}
