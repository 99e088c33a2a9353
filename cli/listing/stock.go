package listing

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"onhand/models"
)

// quantity is a column of a level.
type quantity struct {
	head     string
	of       func(models.Quantities) int
	optional bool // left out where it is 0 in every row
}

// quantities are the columns, in display order.
var quantities = []quantity{
	{"available", func(q models.Quantities) int { return q.Available }, false},
	{"reserved", func(q models.Quantities) int { return q.Reserved }, false},
	{"committed", func(q models.Quantities) int { return q.Committed }, false},
	{"damaged", func(q models.Quantities) int { return q.Damaged }, true},
	{"quality control", func(q models.Quantities) int { return q.QualityControl }, true},
	{"safety stock", func(q models.Quantities) int { return q.SafetyStock }, true},
	{"on hand", func(q models.Quantities) int { return q.OnHand() }, false},
	{"incoming", func(q models.Quantities) int { return q.Incoming }, true},
}

// Stocks writes a table for each product, with its levels and their sum.
func Stocks(w io.Writer, stocks []*models.Stock, names Names) error {
	for i, s := range stocks {
		between := ""
		if i > 0 {
			between = "\n"
		}
		if _, err := fmt.Fprintf(w, "%s%s\n%s\n", between, visible(title(s)), summary(s)); err != nil {
			return err
		}
		if len(s.Levels) == 0 {
			continue
		}
		if err := writeTable(w, levelColumns(s, names)); err != nil {
			return err
		}
	}
	return nil
}

func title(s *models.Stock) string {
	if s.Title == nil {
		return s.ProductID
	}
	return s.ProductID + gap + *s.Title
}

// summary is what a storefront shows, in one line.
func summary(s *models.Stock) string {
	parts := []string{string(s.Status())}
	if n := s.QuantityAvailable(); n == nil {
		parts = append(parts, "not tracked")
	} else {
		parts = append(parts, fmt.Sprintf("%d available", *n))
	}
	if len(s.Levels) == 0 {
		parts = append(parts, "no stock level")
	}
	return strings.Join(append(parts, fmt.Sprintf("version %d", s.ViewVersion()), "as of "+timeText(s.AsOf)), ", ")
}

// levelColumns are the columns of a product's levels, with their sum in the last row.
func levelColumns(s *models.Stock, names Names) []column {
	places := column{head: "location"}
	for _, l := range s.Levels {
		place := locationText(names, l.LocationID)
		if !l.Active {
			place += ", closed"
		}
		places.cells = append(places.cells, place)
	}
	columns := []column{places}
	for _, q := range quantities {
		c, used := column{head: q.head, right: true}, !q.optional
		for _, l := range s.Levels {
			n := q.of(l.Quantities)
			used = used || n != 0
			c.cells = append(c.cells, strconv.Itoa(n))
		}
		if used {
			c.cells = append(c.cells, strconv.Itoa(q.of(s.Total())))
			columns = append(columns, c)
		}
	}
	columns[0].cells = append(columns[0].cells, "all")
	return columns
}

type stockJSON struct {
	ProductID         string             `json:"productId"`
	Title             *string            `json:"title"`
	Tracked           bool               `json:"tracked"`
	Status            models.StockStatus `json:"status"`
	AvailableForSale  bool               `json:"availableForSale"`
	QuantityAvailable *int               `json:"quantityAvailable"`
	Version           int64              `json:"version"`
	AsOf              string             `json:"asOf"`
	Levels            []levelJSON        `json:"levels"`
	Total             quantitiesJSON     `json:"total"`
}

type levelJSON struct {
	Location locationJSON `json:"location"`
	quantitiesJSON
}

type locationJSON struct {
	LocationID string `json:"locationId"`
	Name       string `json:"name"`
	Active     bool   `json:"active"`
}

type quantitiesJSON struct {
	Available      int `json:"available"`
	Reserved       int `json:"reserved"`
	Committed      int `json:"committed"`
	Damaged        int `json:"damaged"`
	QualityControl int `json:"qualityControl"`
	SafetyStock    int `json:"safetyStock"`
	OnHand         int `json:"onHand"`
	Incoming       int `json:"incoming"`
}

func quantitiesOf(q models.Quantities) quantitiesJSON {
	return quantitiesJSON{q.Available, q.Reserved, q.Committed, q.Damaged, q.QualityControl, q.SafetyStock, q.OnHand(), q.Incoming}
}

// StocksJSON writes an array with an object for each product.
func StocksJSON(w io.Writer, stocks []*models.Stock, names Names) error {
	list := make([]stockJSON, len(stocks))
	for i, s := range stocks {
		list[i] = stockJSON{
			ProductID: s.ProductID, Title: s.Title, Tracked: s.Tracked, Status: s.Status(), AvailableForSale: s.AvailableForSale(),
			QuantityAvailable: s.QuantityAvailable(), Version: s.ViewVersion(), AsOf: timeText(s.AsOf), Levels: []levelJSON{}, Total: quantitiesOf(s.Total()),
		}
		for _, l := range s.Levels {
			place := locationJSON{l.LocationID, cmp.Or(names.LocationNamed(l.LocationID).Name, l.LocationID), l.Active}
			list[i].Levels = append(list[i].Levels, levelJSON{place, quantitiesOf(l.Quantities)})
		}
	}
	return writeJSON(w, list)
}
