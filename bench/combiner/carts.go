package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"

	"onhand/models"
	"onhand/store/stockfile"
)

const (
	// cartLines is how many products a cart has.
	cartLines = 20
	// cartsMax bounds what is kept of a file; the real one gives some 8,000.
	cartsMax = 20_000
	// unitsMax cuts off the wholesale orders of the file, which would empty the shelves.
	unitsMax = 100
	// madeUpCarts, madeUpProducts and madeUpSeed shape the carts when there is no file: Zipf with an exponent near that
	// of a real shop, the same in every run.
	madeUpCarts    = 8000
	madeUpProducts = 4000
	madeUpSeed     = 20
)

// readCarts makes carts of real baskets: the first cartLines different products of every sale that has so many. Without
// a file they are made up; from says which.
func readCarts(path string) (carts [][]models.Line, products []string, from string, err error) {
	file, err := os.Open(path)
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		carts, products = madeUp()
		return carts, products, fmt.Sprintf("made up (Zipf 1.1, seed %d), for there is no file %q of real baskets", madeUpSeed, path), nil
	}
	if err != nil {
		return nil, nil, "", err
	}
	defer file.Close()
	known := map[string]bool{}
	err = stockfile.ReadInvoices(file, func(invoice stockfile.Invoice) error {
		if invoice.Kind != stockfile.Sale || len(carts) == cartsMax {
			return nil
		}
		lines := firstLines(invoice)
		if len(lines) < cartLines {
			return nil
		}
		for _, line := range lines {
			known[line.ProductID] = true
		}
		carts = append(carts, lines)
		return nil
	})
	if err == nil && len(carts) == 0 {
		err = fmt.Errorf("no basket has %d products", cartLines)
	}
	for id := range known {
		products = append(products, id)
	}
	slices.Sort(products)
	return carts, products, "real baskets of " + path, err
}

func firstLines(invoice stockfile.Invoice) []models.Line {
	var lines []models.Line
	for _, line := range invoice.Lines {
		again := slices.ContainsFunc(lines, func(l models.Line) bool { return l.ProductID == line.ProductID })
		if again || len(lines) == cartLines {
			continue
		}
		lines = append(lines, models.Line{ProductID: line.ProductID, Quantity: min(line.Units, unitsMax)})
	}
	return lines
}

func madeUp() (carts [][]models.Line, products []string) {
	products = numbered(madeUpProducts)
	zipf := rand.NewZipf(rand.New(rand.NewPCG(madeUpSeed, 0)), 1.1, 20, madeUpProducts-1)
	for range madeUpCarts {
		var lines []models.Line
		for len(lines) < cartLines {
			id := products[zipf.Uint64()]
			if !slices.ContainsFunc(lines, func(l models.Line) bool { return l.ProductID == id }) {
				lines = append(lines, models.Line{ProductID: id, Quantity: 1 + len(lines)%3})
			}
		}
		carts = append(carts, lines)
	}
	return carts, products
}
