package chart

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Chart is one picture.
type Chart struct {
	Title, X, Y string // the title, and the names of the axes with their units
	Sizes       []float64
	Series      []Series
}

// Series is one line: a value for each size.
type Series struct {
	Name   string
	Values []float64
}

// The picture, in pixels.
const (
	width, height          = 720, 360
	left, right, top, foot = 64, 176, 44, 52
	seriesMax              = 6
	// logFrom is the factor from which on an axis is logarithmic.
	logFrom = 20
	// labelGap is the least distance of two names of series.
	labelGap = 15
)

// axis maps values to pixels.
type axis struct {
	low, high, from, to float64
	logarithmic         bool
	ticks               []float64
}

// place is the pixel of a value.
func (a axis) place(v float64) float64 {
	low, high := a.low, a.high
	if a.logarithmic {
		v, low, high = math.Log(v), math.Log(low), math.Log(high)
	}
	return a.from + (v-low)/(high-low)*(a.to-a.from)
}

// newAxis is the axis of these values. Ticks, where given, are its ticks.
func newAxis(values, ticks []float64, from, to float64) axis {
	a := axis{low: slices.Min(values), high: slices.Max(values), from: from, to: to, ticks: ticks}
	a.logarithmic = a.low > 0 && a.high/a.low > logFrom
	switch {
	case ticks != nil && a.low < a.high:
		return a
	case a.logarithmic:
		a.low, a.high = math.Pow(10, math.Floor(math.Log10(a.low))), math.Pow(10, math.Ceil(math.Log10(a.high)))
		for tick := a.low; tick <= a.high*1.01; tick *= 10 {
			a.ticks = append(a.ticks, tick)
		}
		return a
	}
	a.low, a.logarithmic = min(0, a.low), false
	step := niceStep((max(a.high, 1e-9) - a.low) / 5)
	a.high = math.Ceil(max(a.high, 1e-9)/step) * step
	if ticks == nil {
		for i := 0.0; a.low+i*step <= a.high*1.001; i++ {
			a.ticks = append(a.ticks, a.low+i*step)
		}
	}
	return a
}

// niceStep is the next step of 1, 2 or 5 times a power of ten.
func niceStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, step := range []float64{1, 2, 5} {
		if step*power >= least {
			return step * power
		}
	}
	return 10 * power
}

// short writes a number for an axis: 10k, 1M.
func short(v float64) string {
	for _, unit := range []struct {
		from float64
		name string
	}{{1e6, "M"}, {1e3, "k"}} {
		if v >= unit.from {
			return strconv.FormatFloat(v/unit.from, 'g', 4, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// The parts of the picture, as the template reads them.
type (
	tickMark struct {
		At   string
		Text string
	}
	point struct{ X, Y string }
	line  struct {
		Class, Name, Path string
		Points            []point
		NameY             string
	}
	picture struct {
		Chart
		Width, Height                  int
		Left, Right, Top, Bottom       int
		MiddleX, MiddleY, NameX, AxisY int
		Columns, Rows                  []tickMark
		Lines                          []line
	}
)

func pixel(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// SVG draws the chart. It fails when there is nothing to draw, or a series does not fit the sizes.
func (c Chart) SVG() ([]byte, error) {
	if len(c.Sizes) == 0 || len(c.Series) == 0 || len(c.Series) > seriesMax {
		return nil, fmt.Errorf("%s: %d sizes and %d series", c.Title, len(c.Sizes), len(c.Series))
	}
	var all []float64
	for _, s := range c.Series {
		if len(s.Values) != len(c.Sizes) {
			return nil, fmt.Errorf("%s: %s has %d values for %d sizes", c.Title, s.Name, len(s.Values), len(c.Sizes))
		}
		all = append(all, s.Values...)
	}
	p := picture{Chart: c, Width: width, Height: height, Left: left, Right: width - right, Top: top, Bottom: height - foot}
	p.MiddleX, p.MiddleY, p.NameX, p.AxisY = (p.Left+p.Right)/2, (p.Top+p.Bottom)/2, p.Right+12, p.Bottom+20
	x := newAxis(c.Sizes, c.Sizes, left+12, float64(p.Right))
	y := newAxis(all, nil, float64(p.Bottom), top)
	for _, v := range x.ticks {
		p.Columns = append(p.Columns, tickMark{pixel(x.place(v)), short(v)})
	}
	for _, v := range y.ticks {
		p.Rows = append(p.Rows, tickMark{pixel(y.place(v)), short(v)})
	}
	for i, s := range c.Series {
		p.Lines = append(p.Lines, newLine(i, s, c.Sizes, x, y))
	}
	c.spread(p.Lines, y)
	var out bytes.Buffer
	err := drawing.Execute(&out, p)
	return out.Bytes(), err
}

func newLine(number int, s Series, sizes []float64, x, y axis) line {
	l := line{Class: "s" + strconv.Itoa(number), Name: s.Name}
	var path strings.Builder
	for i, size := range sizes {
		at := point{pixel(x.place(size)), pixel(y.place(s.Values[i]))}
		l.Points = append(l.Points, at)
		path.WriteString(map[bool]string{true: "M", false: "L"}[i == 0] + at.X + " " + at.Y)
	}
	l.Path = path.String()
	return l
}

// spread places the names of series beside the ends of their lines, none over another.
func (c Chart) spread(lines []line, y axis) {
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	end := func(i int) float64 { return y.place(c.Series[i].Values[len(c.Sizes)-1]) }
	slices.SortStableFunc(order, func(a, b int) int { return int(math.Copysign(1, end(a)-end(b))) })
	last := float64(top)
	for _, i := range order {
		last = max(last+labelGap, end(i)+4)
		lines[i].NameY = pixel(last)
	}
}

// drawing is the picture. Text has no class of its own, so that a reader's font applies.
var drawing = template.Must(template.New("chart").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" width="{{.Width}}" height="{{.Height}}" role="img" aria-label="{{.Title}}">
<style>
:root{--back:#fff;--text:#1f2328;--soft:#59636e;--grid:#d1d9e0;--c0:#0550ae;--c1:#bc4c00;--c2:#116329;--c3:#8250df;--c4:#a40e26;--c5:#4d2d00}
@media (prefers-color-scheme:dark){:root{--back:#0d1117;--text:#f0f6fc;--soft:#9198a1;--grid:#2f3742;--c0:#79c0ff;--c1:#ffa657;--c2:#7ee787;--c3:#d2a8ff;--c4:#ff7b72;--c5:#e3b341}}
text{font:12px system-ui,sans-serif;fill:var(--soft)}.title{font-size:14px;font-weight:600;fill:var(--text)}.grid{stroke:var(--grid)}
.line{fill:none;stroke-width:2}.s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}
.s1.line{stroke-dasharray:7 3}.s2.line{stroke-dasharray:2 3}.s3.line{stroke-dasharray:9 3 2 3}circle{fill:var(--back);stroke-width:2}.name{fill:var(--text)}
</style>
<rect width="{{.Width}}" height="{{.Height}}" rx="6" fill="var(--back)"/>
<text class="title" x="{{.Left}}" y="24">{{.Title}}</text>
{{- range .Rows}}
<path class="grid" d="M{{$.Left}} {{.At}}H{{$.Right}}"/><text x="{{$.Left}}" y="{{.At}}" dx="-8" dy="4" text-anchor="end">{{.Text}}</text>
{{- end}}
{{- range .Columns}}
<text x="{{.At}}" y="{{$.AxisY}}" text-anchor="middle">{{.Text}}</text>
{{- end}}
<text x="{{.MiddleX}}" y="{{.Height}}" dy="-10" text-anchor="middle">{{.X}}</text>
<text transform="translate(16 {{.MiddleY}}) rotate(-90)" text-anchor="middle">{{.Y}}</text>
{{- range .Lines}}
<path class="line {{.Class}}" d="{{.Path}}"/>
{{- $class := .Class}}{{range .Points}}<circle class="{{$class}}" cx="{{.X}}" cy="{{.Y}}" r="3.5"/>{{end}}
<text class="name" x="{{$.NameX}}" y="{{.NameY}}">{{.Name}}</text>
{{- end}}
</svg>
`))
