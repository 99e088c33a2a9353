package loaders

import (
	"context"
	"errors"
	"sync"

	"onhand/models"
)

// ErrCollecting is what a load returns while ids are collected.
var ErrCollecting = errors.New("ids are being collected")

// Direct reads stocks when it is told to, not when a timer fires. It is for an
// operation whose user knows the ids before it reads:
//
//   - Collect, then load: each load names its ids and returns ErrCollecting.
//   - Fetch reads what was collected, each id once, with one call of the store.
//   - Load again: each load returns what was read.
//
// A load of ids that were not collected reads them at once.
type Direct struct {
	read ReadFunc[*models.Stock]

	mu         sync.Mutex
	collecting bool
	wanted     [][]string // the ids of each load, while collecting
	fetched    []*fetched
	places     map[string]place // of every id in fetched; nil until one is looked up
	last       place            // that was looked up; the zero place before
}

// fetched is one call of the read function that has returned.
type fetched struct {
	ids    []string
	values []*models.Stock
	err    error
}

// place is where the value of an id is.
type place struct {
	in    *fetched
	index int
}

// Direct makes the loads of stocks direct from now on. No field must have loaded any.
func (l *Loaders) Direct() *Direct {
	l.direct = &Direct{read: l.stocks.read}
	return l.direct
}

// Collect begins to collect ids.
func (d *Direct) Collect() { d.collecting = true }

// Want adds ids to those that Fetch reads.
func (d *Direct) Want(ids []string) {
	if len(ids) > 0 {
		d.wanted = append(d.wanted, ids)
	}
}

// Add adds stocks that were read in another way. Of an id that was read before, the
// earlier stock stays.
func (d *Direct) Add(stocks []*models.Stock) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := len(d.fetched) == 0
	if !first {
		d.index()
	}
	added := &fetched{ids: make([]string, 0, len(stocks)), values: make([]*models.Stock, 0, len(stocks))}
	for _, s := range stocks {
		if first || d.places[s.ProductID].in == nil {
			added.ids, added.values = append(added.ids, s.ProductID), append(added.values, s)
		}
	}
	d.fetched = append(d.fetched, added)
	if !first {
		d.place(added)
	}
}

// Fetch reads the ids that were collected and not read before, and ends the collecting.
// The loads return its errors.
func (d *Direct) Fetch(ctx context.Context) {
	wanted := d.wanted
	d.collecting, d.wanted = false, nil
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(wanted) == 1 && len(d.fetched) == 0 {
		d.first(ctx, wanted[0])
	} else if len(wanted) > 0 {
		d.more(ctx, wanted)
	}
}

// first reads the ids of the first load. The caller has locked mu.
func (d *Direct) first(ctx context.Context, ids []string) {
	if len(ids) > fetchMax || !distinct(ids) {
		d.more(ctx, [][]string{ids})
		return
	}
	d.fetched = append(d.fetched, &fetched{ids: ids})
	d.fetched[0].read(ctx, d.read)
}

// more reads lists of ids, without those that were read before. The ids of one list are
// in one call of the store (up to fetchMax). The caller has locked mu.
func (d *Direct) more(ctx context.Context, lists [][]string) {
	d.index()
	begin := len(d.fetched)
	open := &fetched{}
	for _, ids := range lists {
		fresh := d.unread(ids)
		if len(open.ids)+len(fresh) > fetchMax && len(open.ids) > 0 {
			d.fetched, open = append(d.fetched, open), &fetched{}
		}
		for _, id := range fresh {
			if len(open.ids) == fetchMax {
				d.fetched, open = append(d.fetched, open), &fetched{}
			}
			d.places[id] = place{in: open, index: len(open.ids)}
			open.ids = append(open.ids, id)
		}
	}
	if len(open.ids) > 0 {
		d.fetched = append(d.fetched, open)
	}
	var calls sync.WaitGroup
	for i := begin; i < len(d.fetched)-1; i++ {
		calls.Go(func() { d.fetched[i].read(ctx, d.read) })
	}
	if begin < len(d.fetched) {
		d.fetched[len(d.fetched)-1].read(ctx, d.read)
	}
	calls.Wait()
}

// unread returns the ids of a list that have no place yet, each once.
func (d *Direct) unread(ids []string) []string {
	fresh := make([]string, 0, len(ids))
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if _, known := d.places[id]; !known && !seen[id] {
			seen[id] = true
			fresh = append(fresh, id)
		}
	}
	return fresh
}

func (f *fetched) read(ctx context.Context, read ReadFunc[*models.Stock]) {
	f.values, f.err = call(ctx, read, f.ids)
}

// index makes places, if it was not made yet. The caller has locked mu.
func (d *Direct) index() {
	if d.places != nil {
		return
	}
	d.places = map[string]place{}
	for _, f := range d.fetched {
		d.place(f)
	}
}

// place adds the places of ids. The caller has locked mu.
func (d *Direct) place(f *fetched) {
	for i, id := range f.ids {
		d.places[id] = place{in: f, index: i}
	}
}

// stocks loads stocks in the order of ids.
func (d *Direct) stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	if d.collecting {
		d.Want(ids)
		if len(ids) > 0 {
			return nil, ErrCollecting
		}
	}
	if len(ids) == 0 {
		return []*models.Stock{}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.fetched) == 0 {
		d.first(ctx, ids)
	}
	if f := d.fetched[0]; len(f.ids) == len(ids) && &f.ids[0] == &ids[0] {
		return f.values, f.err
	}
	values := make([]*models.Stock, len(ids))
	for i, id := range ids {
		var err error
		if values[i], err = d.find(ctx, id); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// stock loads one stock.
func (d *Direct) stock(ctx context.Context, id string) (*models.Stock, error) {
	if d.collecting {
		d.Want([]string{id})
		return nil, ErrCollecting
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.find(ctx, id)
}

// find returns the stock of an id, and reads it where that was not done yet. The caller
// has locked mu.
func (d *Direct) find(ctx context.Context, id string) (*models.Stock, error) {
	at := d.near(id)
	if at.in == nil {
		d.index()
		at = d.places[id]
	}
	if at.in == nil {
		d.more(ctx, [][]string{{id}})
		at = d.places[id]
	}
	d.last = at
	if err := errorFor(at.in.err, id); err != nil {
		return nil, err
	}
	return at.in.values[at.index], nil
}

// near returns the place of an id that is that of the lookup before, or the next: the
// products of a list are looked up in order. The zero place is none.
func (d *Direct) near(id string) place {
	at := d.last
	if at.in == nil && len(d.fetched) == 1 {
		at.in = d.fetched[0]
	}
	if at.in == nil {
		return place{}
	}
	for i := at.index; i < min(at.index+2, len(at.in.ids)); i++ {
		if at.in.ids[i] == id {
			return place{in: at.in, index: i}
		}
	}
	return place{}
}

// distinctMax is how many ids are compared in pairs, which is faster than a map for few.
const distinctMax = 32

// distinct reports whether no id is repeated. For many ids it answers false.
func distinct(ids []string) bool {
	if len(ids) > distinctMax {
		return false
	}
	for i, id := range ids {
		for _, earlier := range ids[:i] {
			if id == earlier {
				return false
			}
		}
	}
	return true
}
