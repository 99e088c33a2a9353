package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// printTable prints the results, the ratio first.
func printTable(out io.Writer, results []result) {
	fmt.Fprintf(out, "\n%9s %8s %-7s %12s %12s  %s\n", "ratio", "aim", "", "ours", "beside", "row")
	for _, r := range results {
		verdict := ""
		if r.Met != nil && *r.Met {
			verdict = "met"
		} else if r.Met != nil {
			verdict = "MISSED"
		}
		fmt.Fprintf(out, "%9.3g %8s %-7s %12.6g %12.6g  %s\n", r.Ratio, r.Aim, verdict, r.Ours, r.Beside, r.Row)
	}
}

// writeResults puts the results into the file, each in the place of its row. The order is that of the workloads; rows
// that no workload has any more are dropped.
func writeResults(path string, results []result) error {
	var kept []result
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, err)
	}
	byRow := map[string]result{}
	for _, r := range append(kept, results...) {
		byRow[r.Row] = r
	}
	ordered := []result{}
	for _, w := range workloads() {
		for _, r := range w.rows {
			if r, ok := byRow[r.full(w)]; ok {
				ordered = append(ordered, r)
			}
		}
	}
	if raw, err = json.MarshalIndent(ordered, "", "  "); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
