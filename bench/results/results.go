package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Path is where results are kept, from the top of the repository.
const Path = "bench/results.json"

// Print prints the results, the ratio first.
func Print(out io.Writer, results []Result) {
	fmt.Fprintf(out, "\n%9s %8s %-7s %12s %12s  %s\n", "ratio", "aim", "", "ours", "beside", "row")
	for _, r := range results {
		verdict := ""
		if r.Met != nil && *r.Met {
			verdict = "met"
		} else if r.Met != nil {
			verdict = "MISSED"
		}
		fmt.Fprintf(out, "%9s %8s %-7s %12.6g %12.6g  %s\n", r.ratio(), r.Aim, verdict, r.Ours, r.Beside, r.Row)
	}
}

// markdownHead is the head of a table of results.
const markdownHead = "| row | Onhand | beside | ratio | aim | |\n|---|---:|---:|---:|---|---|\n"

// PrintMarkdown prints the results as a table of docs/performance.md.
func PrintMarkdown(out io.Writer, results []Result) {
	fmt.Fprint(out, "\n"+markdownHead)
	for _, r := range results {
		verdict := ""
		if r.Met != nil && *r.Met {
			verdict = "**met**"
		} else if r.Met != nil {
			verdict = "missed"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", r.Row, figure(r.Ours), figure(r.Beside), r.ratio(), r.Aim, verdict)
	}
}

// ratio writes three digits of the ratio, and all that is kept where these are those of the aim.
func (r Result) ratio() string {
	if strings.HasSuffix(r.Aim, fmt.Sprintf(" %g", tidy(r.Ratio))) {
		return figure(r.Ratio)
	}
	return fmt.Sprintf("%.3g", r.Ratio)
}

// figure writes a figure with commas between thousands.
func figure(n float64) string {
	text := strconv.FormatFloat(n, 'f', -1, 64)
	whole, _, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Write puts the results of a program into its section of the file. rows are the full names of all rows that the program
// has, in their order; rows without a result keep the one that the file has.
func Write(path, program string, rows []string, results []Result) error {
	sections := map[string][]Result{}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &sections)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, err)
	}
	byRow := map[string]Result{}
	for _, r := range append(sections[program], results...) {
		byRow[r.Row] = r
	}
	ordered := []Result{}
	for _, row := range rows {
		if r, ok := byRow[row]; ok {
			ordered = append(ordered, r)
		}
	}
	sections[program] = ordered
	if raw, err = json.MarshalIndent(sections, "", "  "); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
