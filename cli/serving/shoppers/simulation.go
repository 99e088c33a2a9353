package shoppers

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"onhand/store/demoshop"
	"onhand/store/stockfile"
)

// How long shoppers take.
const (
	browseTime   = 9 * time.Second  // between two carts
	cartTime     = 8 * time.Second  // from a cart to what becomes of it
	packTime     = 5 * time.Second  // from an order to its parcel
	restTime     = 15 * time.Second // after an error
	merchantTime = 6 * time.Second  // between two rounds of the merchant
	cartTTL      = 45               // seconds that a cart lives
	cartTTLMax   = 120
)

// Simulation is a number of shoppers in the demo shop, and one merchant.
type Simulation struct {
	// Handler serves the API under /graphql, Host is a name that it answers to, and Token
	// the bearer token that it asks for; empty for none.
	Handler http.Handler
	Host    string
	Token   string
	// Shoppers is how many there are.
	Shoppers int
	Log      *slog.Logger
	// Speed divides all waits: 1 by default. Tests set it.
	Speed float64

	api    client
	shelf  []shelfPlace
	scarce []string
	warned sync.Once
}

// shelfPlace is a product at a location, and how many units the merchant tops it up to.
type shelfPlace struct {
	product, location string
	units             int
}

// ErrNotTheDemo is the error for a database that is not the demo shop.
var ErrNotTheDemo = errors.New("simulated shoppers work in the demo shop only, and this database is another shop; onhand demo loads the demo shop into an empty database")

// Run simulates until the context ends.
//
// Errors: ErrNotTheDemo.
func (s *Simulation) Run(ctx context.Context) error {
	s.api = client{handler: s.Handler, host: s.Host, token: s.Token}
	if s.Speed == 0 {
		s.Speed = 1
	}
	for {
		demo, err := s.isDemo(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && !demo:
			return ErrNotTheDemo
		case err == nil:
			s.open()
			s.simulate(ctx)
			return nil
		}
		s.Log.Debug("simulated shoppers wait for the server", "error", err)
		s.pause(ctx, restTime)
	}
}

// simulate runs shoppers and merchant until the context ends.
func (s *Simulation) simulate(ctx context.Context) {
	s.repeat(ctx, s.shipLeftOrders, 0)
	var running sync.WaitGroup
	for range s.Shoppers {
		running.Go(func() {
			s.pause(ctx, browseTime/3)
			for ctx.Err() == nil {
				s.repeat(ctx, s.shop, browseTime)
			}
		})
	}
	running.Go(func() {
		for ctx.Err() == nil {
			s.repeat(ctx, s.receive, merchantTime)
		}
	})
	running.Wait()
}

// repeat does something once, and pauses: longer after an error.
func (s *Simulation) repeat(ctx context.Context, work func(context.Context) error, rest time.Duration) {
	if err := work(ctx); err != nil && !errors.Is(err, errRefused) && ctx.Err() == nil {
		s.warned.Do(func() { s.Log.Warn("a simulated shopper failed", "error", err) })
		rest = restTime
	}
	s.pause(ctx, rest)
}

// pause waits for a random time around the given one.
func (s *Simulation) pause(ctx context.Context, about time.Duration) {
	wait := time.Duration(float64(about) * (0.5 + rand.Float64()) / s.Speed)
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

// open lists the places of the demo shop that shoppers buy from, without the products
// that documents use and the one that is limited per owner.
func (s *Simulation) open() {
	rows, _, _ := stockfile.Demo()
	units := map[string]int{}
	for _, row := range rows {
		// All shoppers are one owner, and would soon have what one owner may have.
		if slices.Contains(demoshop.Quiet, row.ProductID) || row.ProductID == demoshop.LimitedID {
			continue
		}
		s.shelf = append(s.shelf, shelfPlace{row.ProductID, row.LocationID, row.Available})
		units[row.ProductID] += row.Available
	}
	for _, row := range rows {
		if n := units[row.ProductID]; n > 0 && n <= scarceMax && !slices.Contains(s.scarce, row.ProductID) {
			s.scarce = append(s.scarce, row.ProductID)
		}
	}
}

// scarceMax is how many units a scarce product has in the demo shop: it sells out now and
// then.
const scarceMax = 24

// favourite picks a product. Some are bought much more than others, and scarce ones often,
// so that they run low, sell out and come back.
func (s *Simulation) favourite() string {
	switch rand.IntN(6) {
	case 0: // anything
		return s.shelf[rand.IntN(len(s.shelf))].product
	case 1, 2:
		return s.scarce[rand.IntN(len(s.scarce))]
	}
	first := int(rand.ExpFloat64() * float64(len(s.shelf)) / 8)
	return s.shelf[min(first, len(s.shelf)-1)].product
}
