package process

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Metrics are the numbers of /metrics by name and labels, as in `onhand_requests_open{transport="sse"}`.
type Metrics map[string]float64

// expectedMetrics are those that an instance always has, and that scenarios compare with a bound. One that was renamed
// would read as 0, and 0 is within most bounds.
var expectedMetrics = []string{
	"go_goroutines", "go_memstats_heap_inuse_bytes", "onhand_database_connections", "onhand_database_connections_in_use",
	"onhand_database_reads_total", "onhand_feed_connected", "onhand_redis_up", "onhand_watches", "onhand_writes_blocked",
	"onhand_writes_waiting",
}

// Metrics reads them now. Without one of the expected metrics it is an error.
func (i *Instance) Metrics() (Metrics, error) {
	response, err := probes.Get(i.metrics)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	m, err := parseMetrics(response.Body)
	if err != nil {
		return nil, err
	}
	for _, name := range expectedMetrics {
		if _, found := m[name]; !found {
			return nil, fmt.Errorf("%s has no metric %s", i.Name, name)
		}
	}
	return m, nil
}

// parseMetrics reads the text format of Prometheus.
func parseMetrics(text io.Reader) (Metrics, error) {
	m := Metrics{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		name, number, found := strings.Cut(lines.Text(), " ")
		if end := strings.LastIndex(lines.Text(), "} "); end > 0 { // a label may have spaces
			name, number = lines.Text()[:end+1], lines.Text()[end+2:]
		}
		value, err := strconv.ParseFloat(number, 64)
		if found && err == nil && name[0] != '#' {
			m[name] = value
		}
	}
	return m, lines.Err()
}
