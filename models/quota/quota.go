package quota

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of a quota.
const (
	CostMax   = 1_000_000_000_000
	WindowMin = time.Second
	WindowMax = 24 * time.Hour
)

// Quota is what one caller may use. The zero Quota has no bound.
type Quota struct {
	// Cost is the most that may be used at once, in units.
	Cost int
	// Window is how long an empty bucket needs to fill.
	Window time.Duration
}

// off is the text of a Quota without a bound.
const off = "off"

// Parse reads a quota such as 600000/1m, or off.
func Parse(text string) (Quota, error) {
	if text == off {
		return Quota{}, nil
	}
	units, window, _ := strings.Cut(text, "/")
	cost, err := strconv.Atoi(units)
	if err != nil || cost < 1 || cost > CostMax {
		return Quota{}, fmt.Errorf("%q is no quota such as 600000/1m, with 1 to %d units", text, CostMax)
	}
	within, err := time.ParseDuration(window)
	if err != nil || within < WindowMin || within > WindowMax {
		return Quota{}, fmt.Errorf("%q is no quota such as 600000/1m, within %s to %s", text, WindowMin, WindowMax)
	}
	return Quota{cost, within}, nil
}

// Unbounded reports whether the quota has no bound.
func (q Quota) Unbounded() bool { return q.Cost == 0 }

// PerSecond is how many units become free in a second.
func (q Quota) PerSecond() float64 { return float64(q.Cost) / q.Window.Seconds() }

// Use is what one caller used of its quota, at one instance.
type Use struct {
	// Bucket names the caller and what it used.
	Bucket string
	Quota  Quota
	Cost   int
}

// Balance is a bucket after a Use, over all instances.
type Balance struct {
	// Left is what may be used now. It is negative after more was used than the quota
	// has, down to minus the whole quota.
	Left float64
	// Used is what all instances have used since the bucket was last full for long.
	Used float64
}
