package graph_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// goldenStep is one request of a golden test. A golden test is a document
// (testdata/NAME.graphql), its steps (NAME.json) and the answers (NAME.golden.json).
// Without a file of steps the document is sent once.
type goldenStep struct {
	Operation string         `json:"operation"`
	Variables map[string]any `json:"variables"`
	// As is the caller, one of identities.
	As string `json:"as"`
	// Save saves parts of the answer: name to path. The variables of later steps use
	// them as "$name".
	Save map[string]string `json:"save"`
	// Until repeats the step until the answer contains this text.
	Until string `json:"until"`
}

// writes matches documents with mutations. Each of them gets a shop of its own. The
// others share one.
var writes = regexp.MustCompile(`(?m)^mutation\b`)

// goldenWait bounds how long a step with Until is repeated.
const goldenWait = 20 * time.Second

// TestGolden: the API answers each document of testdata with its golden file, except
// for times, versions, cursors and reservation ids.
func TestGolden(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("testdata/*.graphql")
	require.NoError(t, err)
	require.NotEmpty(t, documents)
	for _, path := range documents {
		name := strings.TrimSuffix(path, ".graphql")
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			document, err := os.ReadFile(path)
			require.NoError(t, err)
			got := runSteps(t, string(document), readSteps(t, name+".json"))
			if *update {
				require.NoError(t, os.WriteFile(name+".golden.json", got, 0o644))
				return
			}
			want, err := os.ReadFile(name + ".golden.json")
			require.NoError(t, err, "no golden file; write it with -update")
			if !bytes.Equal(want, got) {
				require.Fail(t, "the answer differs from "+name+".golden.json", difference(string(want), string(got)))
			}
		})
	}
}

// difference shows the first line that differs, with a few lines around it.
func difference(want, got string) string {
	const around = 6
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	at := 0
	for at < min(len(wants), len(gots)) && wants[at] == gots[at] {
		at++
	}
	part := func(lines []string) string {
		return strings.Join(lines[max(0, min(at, len(lines))-around):min(at+around, len(lines))], "\n")
	}
	return "from line " + strconv.Itoa(at+1) + ", want:\n" + part(wants) + "\n\ngot:\n" + part(gots)
}

func readSteps(t *testing.T, path string) []goldenStep {
	t.Helper()
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return []goldenStep{{}}
	}
	require.NoError(t, err)
	var steps []goldenStep
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&steps), path)
	return steps
}

// runSteps sends each step and returns the answers.
func runSteps(t *testing.T, document string, steps []goldenStep) []byte {
	t.Helper()
	open := readingShop
	if writes.MatchString(document) {
		open = newShop
	}
	shop, saved, names := open(t), map[string]any{}, map[string]string{}
	var out bytes.Buffer
	out.WriteString("[\n")
	for i, s := range steps {
		status, body := runStep(t, shop, document, s, saved)
		save(t, s, body, saved)
		if i > 0 {
			out.WriteString(",\n")
		}
		head, err := json.Marshal(s.Operation)
		require.NoError(t, err)
		out.WriteString(`  {"step": ` + string(head) + `, "status": ` + strconv.Itoa(status) + `, "answer": `)
		require.NoError(t, json.Indent(&out, normalise(body, names), "  ", "  "), "not JSON: %s", body)
		out.WriteString("}")
	}
	out.WriteString("\n]\n")
	return out.Bytes()
}

func runStep(t *testing.T, shop *demoShop, document string, s goldenStep, saved map[string]any) (status int, body []byte) {
	t.Helper()
	variables, _ := fill(t, s.Variables, saved).(map[string]any)
	q := request{Query: document, OperationName: s.Operation, Variables: variables}
	status, body = post(t, shop.api, s.As, q)
	if !writes.MatchString(document) { // at its second use it is compiled
		status, body = post(t, shop.api, s.As, q)
	}
	if s.Until != "" {
		require.Eventually(t, func() bool {
			status, body = post(t, shop.api, s.As, q)
			return bytes.Contains(body, []byte(s.Until))
		}, goldenWait, 20*time.Millisecond)
	}
	return status, body
}

// fill replaces "$name" in variables by the saved value, and "$kind:count" by a
// generated one: "$ids:251" is that many product ids, "$text:256" that many letters.
func fill(t *testing.T, v any, saved map[string]any) any {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, inner := range v {
			out[k] = fill(t, inner, saved)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = fill(t, inner, saved)
		}
		return out
	case string:
		if name, ok := strings.CutPrefix(v, "$"); ok {
			return generate(t, name, saved)
		}
	}
	return v
}

func generate(t *testing.T, name string, saved map[string]any) any {
	t.Helper()
	kind, count, many := strings.Cut(name, ":")
	if !many {
		require.Contains(t, saved, name, "nothing was saved under this name")
		return saved[name]
	}
	n, err := strconv.Atoi(count)
	require.NoError(t, err)
	switch kind {
	case "ids":
		ids := make([]any, n)
		for i := range ids {
			ids[i] = "none-" + strconv.Itoa(i)
		}
		return ids
	case "lines":
		lines := make([]any, n)
		for i := range lines {
			lines[i] = map[string]any{"productId": "none-" + strconv.Itoa(i), "quantity": 1}
		}
		return lines
	case "rows":
		rows := make([]any, n)
		for i := range rows {
			rows[i] = map[string]any{"productId": "22423", "locationId": "london", "delta": 1}
		}
		return rows
	}
	require.Equal(t, "text", kind)
	return strings.Repeat("é", n)
}

func save(t *testing.T, s goldenStep, body []byte, saved map[string]any) {
	t.Helper()
	if len(s.Save) == 0 {
		return
	}
	var answer any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&answer))
	for name, path := range s.Save {
		at := answer
		for _, part := range strings.Split(path, ".") {
			switch inner := at.(type) {
			case map[string]any:
				at = inner[part]
			case []any:
				i, err := strconv.Atoi(part)
				require.NoError(t, err)
				at = inner[i]
			}
		}
		require.NotNil(t, at, "nothing at %s in %s", path, body)
		saved[name] = at
	}
}

var (
	varyingTime    = regexp.MustCompile(`"(at|since|until|asOf|countedAt|createdAt|expiresAt|serverTime)":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z"`)
	varyingVersion = regexp.MustCompile(`"(version)":[0-9]+`)
	varyingSource  = regexp.MustCompile(`"(source)":"(CACHE|DATABASE)"`)
	varyingCursor  = regexp.MustCompile(`"(cursor|endCursor)":"(?:AQ|cmVzZXJ2YXRpb246)[0-9A-Za-z_-]+"`) // of movements, of reservations
	reservationIDs = regexp.MustCompile(`res_[0-9a-f]{32}`)
)

// normalise replaces values that differ from run to run. It replaces a time only where
// it has the form that the schema promises.
func normalise(body []byte, names map[string]string) []byte {
	body = varyingTime.ReplaceAll(body, []byte(`"$1":"<time>"`))
	body = varyingVersion.ReplaceAll(body, []byte(`"$1":"<version>"`))
	body = varyingSource.ReplaceAll(body, []byte(`"$1":"<source>"`))
	body = varyingCursor.ReplaceAll(body, []byte(`"$1":"<cursor>"`))
	return reservationIDs.ReplaceAllFunc(body, func(id []byte) []byte {
		if names[string(id)] == "" {
			names[string(id)] = "res_<" + strconv.Itoa(len(names)+1) + ">"
		}
		return []byte(names[string(id)])
	})
}
