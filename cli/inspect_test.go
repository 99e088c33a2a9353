package cli

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// times replaces what differs from run to run, at the same width.
func times(text string) string {
	return regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`).ReplaceAllString(text, "TIME....................")
}

func TestStockInTheTerminal(t *testing.T) {
	onBoth(t, func(m merchant) {
		m.run(0, "import", m.file("seed.csv", "product_id,title,location_id,available,damaged\nmug,Blue mug,London,5,2\nmug,,Leeds,3,0\ncup,,London,0,0\n"), "--create")
		stdout, _ := m.run(0, "stock", "mug", "cup")
		assert.Equal(t, `mug  Blue mug
IN_STOCK, 8 available, version 1, as of TIME....................
location  available  reserved  committed  damaged  on hand
Leeds             3         0          0        0        3
London            5         0          0        2        7
all               8         0          0        2       10

cup
OUT_OF_STOCK, 0 available, version 1, as of TIME....................
location  available  reserved  committed  on hand
London            0         0          0        0
all               0         0          0        0
`, regexp.MustCompile(`version \d+`).ReplaceAllString(times(stdout), "version 1"))

		stdout, _ = m.run(0, "stock", "mug", "--location", "Leeds")
		assert.Contains(t, stdout, "LOW_STOCK, 3 available")
		assert.NotContains(t, stdout, "London")
		_, stderr := m.run(1, "stock", "mug", "--location", "Hull")
		assert.Equal(t, `no location "Hull"`, stderr)
		_, stderr = m.run(1, "stock", "mug", "--channel", "web")
		assert.Equal(t, `no channel "web"`, stderr)
		stdout, stderr = m.run(1, "stock", "none", "mug", "nil")
		assert.Equal(t, `no product "none", "nil"`, stderr)
		assert.Contains(t, stdout, "Blue mug", "the others are printed")
	})
}

// TestStockAsJSON: what programs read has the names of the API, and null for what is not
// there.
func TestStockAsJSON(t *testing.T) {
	onBoth(t, func(m merchant) {
		m.run(0, "import", m.file("seed.csv", "product_id,title,location_id,available\nmug,Blue mug,London,5\ncup,,London,0\n"), "--create")
		stdout, _ := m.run(0, "stock", "mug", "cup", "--json")
		var stocks []struct {
			ProductID, Status, AsOf string
			Title                   *string
			QuantityAvailable       int
			Levels                  []struct {
				Location          struct{ LocationID, Name string }
				Available, OnHand int
			}
			Total struct{ OnHand int }
		}
		require.NoError(t, json.Unmarshal([]byte(stdout), &stocks), stdout)
		require.Len(t, stocks, 2)
		assert.Equal(t, "mug", stocks[0].ProductID)
		assert.Equal(t, "Blue mug", *stocks[0].Title)
		assert.Nil(t, stocks[1].Title)
		assert.Equal(t, 5, stocks[0].QuantityAvailable)
		assert.Equal(t, 5, stocks[0].Levels[0].OnHand)
		assert.Equal(t, "London", stocks[0].Levels[0].Location.LocationID)
		assert.Equal(t, 5, stocks[0].Total.OnHand)
		_, err := time.Parse(time.RFC3339, stocks[0].AsOf)
		require.NoError(t, err)
		stdout, stderr := m.run(1, "stock", "none", "--json")
		assert.Equal(t, "[]\n", stdout)
		assert.Equal(t, `no product "none"`, stderr)
	})
}

// TestStockAsOfInTheTerminal: the time that the ledger shows is a moment to ask for.
func TestStockAsOfInTheTerminal(t *testing.T) {
	onBoth(t, func(m merchant) {
		m.run(0, "import", m.file("seed.csv", ownHead+"mug,London,5\n"), "--create")
		first, _ := m.run(0, "ledger", "mug", "--json")
		var movements []struct{ CreatedAt string }
		require.NoError(t, json.Unmarshal([]byte(first), &movements))
		require.Len(t, movements, 1)
		at, err := time.Parse(time.RFC3339, movements[0].CreatedAt)
		require.NoError(t, err)
		for time.Since(at) < 2*time.Millisecond { // the next movement has another millisecond
			time.Sleep(time.Millisecond)
		}
		m.run(0, "import", m.file("next.csv", ownHead+"mug,London,9\n"))
		stdout, _ := m.run(0, "stock", "mug", "--as-of", movements[0].CreatedAt)
		assert.Contains(t, stdout, "5 available")
		stdout, _ = m.run(0, "stock", "mug")
		assert.Contains(t, stdout, "9 available")
		stdout, _ = m.run(0, "stock", "mug", "--as-of", "2001-02-03")
		assert.Contains(t, stdout, "no stock level")
		_, stderr := m.run(1, "stock", "mug", "--as-of", "2999-01-01")
		assert.Equal(t, "--as-of: asOf must not be in the future", stderr)
		stdout, _ = m.run(0, "ledger", "mug", "--until", movements[0].CreatedAt)
		assert.Equal(t, 2, strings.Count(stdout, "\n"), stdout)
		stdout, _ = m.run(0, "ledger", "mug", "--since", "2001-02-03T04:05", "--until", "2001-02-04")
		assert.Equal(t, "no movements\n", stdout)
		_, _, err = parse(t, "stock", "mug", "--as-of", "yesterday")
		require.ErrorContains(t, err, `"yesterday" is not a time such as`)
	})
}

func TestLedgerInTheTerminal(t *testing.T) {
	onBoth(t, func(m merchant) {
		m.run(0, "import", m.file("seed.csv", ownHead+"mug,London,5\nmug,Leeds,1\ncup,London,1\n"), "--create")
		m.run(0, "import", m.file("count.csv", ownHead+"mug,London,3\n"), "--note", "shelf 7")
		stdout, _ := m.run(0, "ledger", "mug")
		lines := strings.Split(times(stdout), "\n")
		require.Len(t, lines, 5, stdout)
		assert.Regexp(t, `^time +location +change +reason +version +details$`, lines[0])
		assert.Regexp(t, `^TIME\.+  London +available 5 -> 3 \(-2\) +IMPORT +\d+  shelf 7; reference count\.csv; by \S+$`, lines[1])
		assert.Regexp(t, `available 0 -> [15] \(\+[15]\)`, lines[2])
		stdout, _ = m.run(0, "ledger", "mug", "--location", "Leeds")
		assert.Equal(t, 2, strings.Count(stdout, "\n"))
		_, stderr := m.run(1, "ledger", "none")
		assert.Equal(t, `no product "none"`, stderr)
		_, stderr = m.run(1, "ledger", "mug", "--limit", "0")
		assert.Equal(t, "--limit must be between 1 and 100000", stderr)
		out, hint, err := m.runWith("", "ledger", "mug", "--limit", "2", "--json")
		require.NoError(t, err)
		assert.Equal(t, "there are older movements; --limit and --until show them\n", hint)
		var movements []struct {
			ProductID, Reason, Note, Reference, Actor string
			ReservationID                             *string
			Location                                  struct{ LocationID string }
			Changes                                   []struct {
				State        string
				Delta, After int
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &movements), out)
		require.Len(t, movements, 2)
		assert.Equal(t, "shelf 7", movements[0].Note)
		assert.Nil(t, movements[0].ReservationID)
		assert.Equal(t, -2, movements[0].Changes[0].Delta)
		assert.Equal(t, 3, movements[0].Changes[0].After)
	})
}

// TestManyPagesOfTheLedger: a limit above a page's size reads on.
func TestManyPagesOfTheLedger(t *testing.T) {
	t.Parallel()
	m := shopWith(t, "")
	var rows strings.Builder
	for i := range 600 {
		rows.WriteString("mug,shelf-" + strings.Repeat("x", i%3) + time.Duration(i).String() + ",1\n")
	}
	m.run(0, "import", m.file("many.csv", ownHead+rows.String()), "--create-similar")
	stdout, _ := m.run(0, "ledger", "mug", "--limit", "599")
	assert.Equal(t, 600, strings.Count(stdout, "\n"))
	stdout, _ = m.run(0, "ledger", "mug", "--limit", "601")
	assert.Equal(t, 601, strings.Count(stdout, "\n"))
}

// TestInspectBesideAServer: both commands read the SQLite file that a server has open, and
// neither makes a database.
func TestInspectBesideAServer(t *testing.T) {
	t.Parallel()
	m := shopWith(t, "mug,London,5\n")
	server := serve(t, m.database)
	server.post(`mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "mug", quantity: 2}]}) { replayed } }`)
	stdout, _ := m.run(0, "stock", "mug")
	assert.Contains(t, stdout, "3 available")
	stdout, _ = m.run(0, "ledger", "mug", "--limit", "1")
	assert.Regexp(t, `available 5 -> 3 \(-2\), reserved 0 -> 2 \(\+2\)  RESERVED +\d+  res_[0-9a-f]{32}`, stdout)
	server.stop()
	none := filepath.Join(m.home, "none.db")
	for _, args := range [][]string{{"stock", "mug"}, {"ledger", "mug"}} {
		err := run(t.Context(), t, &strings.Builder{}, append(args, "--database-url=sqlite:"+none)...)
		require.ErrorContains(t, err, "no such database: "+none)
		assert.NoFileExists(t, none)
	}
}
