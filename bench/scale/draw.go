package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"onhand/bench/chart"
	"onhand/bench/results"
)

// page is the document that has the tables, and pictures the folder of its pictures.
const page, pictures = "docs/scaling.md", "docs/images"

// drawing is one chart of the page: columns of a table.
type drawing struct {
	file, table, title, x, y string
	series                   []plotted
}

// plotted is a column of a table under a short name.
type plotted struct{ column, name string }

var costSeries = []plotted{{columnServer, "instances"}, {columnPostgres, "Postgres"}, {columnRedis, "Redis"}}

// drawings are the pictures of the page.
var drawings = []drawing{
	{
		"scale-products.svg", "products", "CPU time of a request for 20 products, by products of the shop", "products", "µs a request",
		[]plotted{{"server, µs a request", "instance"}, {"Redis, µs a request", "Redis"}},
	},
	{"scale-changes.svg", "changes", "CPU time of a reservation, over 10,000 products", "reservations a second", "µs a reservation", costSeries},
	{"scale-hot.svg", "hot changes", "CPU time of a reservation, of one product", "reservations a second", "µs a reservation", costSeries},
	{"scale-instances.svg", "instances", "CPU time of a reservation, at 2,000 a second", "instances", "µs a reservation", costSeries},
	{"scale-sent.svg", "listening instances", "What Redis sends for a reservation", "instances", "bytes", []plotted{{columnSent, "sent by Redis"}}},
	{
		"scale-watchers.svg", "watchers", "A change until subscribers of one product have it", "subscribers", "ms",
		[]plotted{{"p99, ms", "99th percentile"}, {"until the median client has a change, ms", "median"}},
	},
	{
		"scale-published.svg", "published messages", "CPU time of Redis for a message, by instances that follow all products", "instances", "µs a message",
		[]plotted{{columnCluster, "Cluster, all nodes"}, {columnBusiest, "its busiest node"}, {columnTogether, "one Redis"}},
	},
}

// drawCommand writes the page and its pictures.
type drawCommand struct {
	Tables string `default:"${tables}" help:"The file with the tables."`
}

// Run writes the tables into the page and draws the pictures. A table that was never measured leaves its place as it is.
func (c drawCommand) Run() error {
	tables, err := results.ReadGrowth(c.Tables)
	if err != nil {
		return err
	}
	for _, d := range drawings {
		if tables[d.table] == nil {
			continue
		}
		svg, err := d.svg(tables[d.table])
		if err == nil {
			err = os.WriteFile(filepath.Join(pictures, d.file), svg, 0o644)
		}
		if err != nil {
			return err
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	return os.WriteFile(page, withTables(text, tables), 0o644)
}

// svg draws a table.
func (d drawing) svg(g *results.Growth) ([]byte, error) {
	c := chart.Chart{Title: d.title, X: d.x, Y: d.y}
	for _, p := range d.series {
		s := chart.Series{Name: p.name}
		for i := range g.Lines {
			v, ok := g.Figure(i, p.column)
			if !ok {
				return nil, fmt.Errorf("%s: the table has no column %q", d.file, p.column)
			}
			s.Values = append(s.Values, v)
		}
		c.Series = append(c.Series, s)
	}
	for _, line := range g.Lines {
		c.Sizes = append(c.Sizes, float64(line.Size))
	}
	return c.SVG()
}

// places matches where a page has a table: between two comments, the first with its name.
var places = regexp.MustCompile(`(?s)(<!-- table: ([\w ]+) -->\n).*?(<!-- end of the table -->)`)

// withTables puts the tables into their places.
func withTables(page []byte, tables map[string]*results.Growth) []byte {
	return places.ReplaceAllFunc(page, func(place []byte) []byte {
		parts := places.FindSubmatch(place)
		g := tables[string(parts[2])]
		if g == nil {
			return place
		}
		var out bytes.Buffer
		out.Write(parts[1])
		g.Print(&out)
		out.WriteString("\n")
		out.Write(parts[3])
		return out.Bytes()
	})
}
