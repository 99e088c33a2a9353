package loadgen

import (
	"encoding/json"
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
	// BasketLines is how many products a basket of a shop has.
	BasketLines = 20
	// UnitsMax cuts off the wholesale orders of the file, which would sell out.
	UnitsMax = 100
	// basketsMax bounds how many baskets of a file are kept; the Online Retail file has some 8,000.
	basketsMax = 20_000
	// The generated baskets: Zipf with an exponent near that of a real shop, the same in every run.
	generatedBaskets, generatedProducts, generatedSeed = 8000, 4000, 20
)

// Basket is what one call reserves. Nobody changes it, so that workers can share it.
type Basket struct {
	Lines []models.RequestedLine
	units int
	json  []byte // the lines as the API reads them
}

// NewBasket makes the basket of these lines.
func NewBasket(lines []models.RequestedLine) Basket {
	b := Basket{Lines: lines}
	b.json, _ = json.Marshal(lines) // plain values; cannot fail
	for _, line := range lines {
		b.units += line.Quantity
	}
	return b
}

// Numbered are the ids of n products.
func Numbered(n int) []string {
	products := make([]string, n)
	for i := range products {
		products[i] = fmt.Sprintf("product-%05d", i)
	}
	return products
}

// Single makes a basket of one unit for each product.
func Single(products []string) []Basket {
	baskets := make([]Basket, len(products))
	for i, id := range products {
		baskets[i] = NewBasket([]models.RequestedLine{{ProductID: id, Quantity: 1}})
	}
	return baskets
}

// Baskets are those of a shop.
type Baskets struct {
	List     []Basket
	Products []string
	// Source says where they come from.
	Source string
}

// ReadBaskets reads an Online Retail file: a basket is the first BasketLines different products of a sale that has so
// many. Without a file the baskets are generated.
func ReadBaskets(path string) (Baskets, error) {
	file, err := os.Open(path)
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		generated := Generate()
		generated.Source += fmt.Sprintf(", because there is no file %q of real baskets", path)
		return generated, nil
	}
	if err != nil {
		return Baskets{}, err
	}
	defer func() { _ = file.Close() }() // only read
	read := Baskets{Source: "real baskets of " + path}
	known := map[string]bool{}
	err = stockfile.ReadInvoices(file, func(invoice stockfile.Invoice) error {
		if invoice.Kind != stockfile.Sale || len(read.List) == basketsMax {
			return nil
		}
		lines := firstLines(invoice)
		if len(lines) < BasketLines {
			return nil
		}
		for _, line := range lines {
			known[line.ProductID] = true
		}
		read.List = append(read.List, NewBasket(lines))
		return nil
	})
	if err == nil && len(read.List) == 0 {
		err = fmt.Errorf("%s: no basket has %d products", path, BasketLines)
	}
	for id := range known {
		read.Products = append(read.Products, id)
	}
	slices.Sort(read.Products)
	return read, err
}

func firstLines(invoice stockfile.Invoice) []models.RequestedLine {
	var lines []models.RequestedLine
	for _, line := range invoice.Lines {
		repeated := slices.ContainsFunc(lines, func(l models.RequestedLine) bool { return l.ProductID == line.ProductID })
		if repeated || len(lines) == BasketLines {
			continue
		}
		lines = append(lines, models.RequestedLine{ProductID: line.ProductID, Quantity: min(line.Units, UnitsMax)})
	}
	return lines
}

// Generate makes baskets without a file, the same in every run.
func Generate() Baskets {
	products := Numbered(generatedProducts)
	generated := Baskets{Products: products, Source: fmt.Sprintf("generated (Zipf 1.1, seed %d)", generatedSeed)}
	zipf := rand.NewZipf(rand.New(rand.NewPCG(generatedSeed, 0)), 1.1, 20, generatedProducts-1)
	for range generatedBaskets {
		var lines []models.RequestedLine
		for len(lines) < BasketLines {
			id := products[zipf.Uint64()]
			if !slices.ContainsFunc(lines, func(l models.RequestedLine) bool { return l.ProductID == id }) {
				lines = append(lines, models.RequestedLine{ProductID: id, Quantity: 1 + len(lines)%3})
			}
		}
		generated.List = append(generated.List, NewBasket(lines))
	}
	return generated
}
