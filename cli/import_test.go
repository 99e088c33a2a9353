package cli

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// merchant has a database and a directory of files.
type merchant struct {
	t        *testing.T
	home     string
	database string // --database-url
}

// onBoth runs a test on both databases, on Postgres under the account of a server.
func onBoth(t *testing.T, test func(m merchant)) {
	t.Helper()
	t.Parallel()
	for name, url := range map[string]func(home string) string{
		"sqlite": func(home string) string { return "sqlite:" + filepath.Join(home, "shop.db") },
		"postgres": func(string) string {
			dsn := storetest.PrivatePostgres(t).DSN("postgres")
			var out strings.Builder
			require.NoError(t, run(t.Context(), t, &out, "migrate", "--database-url="+storetest.OwnerAccount(dsn)))
			return storetest.ServerAccount(dsn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			test(merchant{t, home, "--database-url=" + url(home)})
		})
	}
}

func (m merchant) file(name, text string) string {
	m.t.Helper()
	path := filepath.Join(m.home, name)
	require.NoError(m.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// run wants a command to end with a code, and returns what it prints.
func (m merchant) run(code int, args ...string) (stdout, stderr string) {
	m.t.Helper()
	var out strings.Builder
	err := run(m.t.Context(), m.t, &out, append(args, m.database)...)
	if err != nil {
		stderr = err.Error()
	}
	require.Equal(m.t, code, ExitCode(err), "%s\n%s", &out, stderr)
	return out.String(), stderr
}

// export is the file that an export in a format writes.
func (m merchant) export(format string) string {
	m.t.Helper()
	path := filepath.Join(m.home, "export."+format)
	m.run(0, "export", path, "--format", format)
	text, err := os.ReadFile(path)
	require.NoError(m.t, err)
	return string(text)
}

// retailHeader is the first line of the Online Retail file.
const retailHeader = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

const shopHead = "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Option3 Name,Option3 Value,SKU,HS Code,COO,Location,Bin name,Incoming (not editable),Unavailable (not editable),Committed (not editable),Available (not editable),On hand (current),On hand (new)\n"

// shopFile is as a shop exports it: a product with variants, two of which share
// a SKU, one without a SKU, and a location that does not stock a product.
const shopFile = "\ufeff" + shopHead +
	"shirt,T-Shirt,Size,S,,,,,TS-S,,,North,A1,0,0,0,5,5,\r\n" +
	"shirt,T-Shirt,Size,S,,,,,TS-S,,,South,,not stocked,not stocked,not stocked,not stocked,not stocked,\r\n" +
	"shirt,T-Shirt,Size,M,,,,,TS-X,,,North,A1,4,1,0,7,8,\r\n" +
	"shirt,T-Shirt,Size,L,,,,,TS-X,,,North,A1,0,0,0,3,3,\r\n" +
	"mug,\"Mug, big\",Title,Default Title,,,,,,,,South,,0,0,0,9,9,\r\n"

// TestFilesGoRound imports a shop's file into an empty database and exports it in
// every format. Each export imports again without a change, and gives the same
// bytes when it has gone through another empty database.
func TestFilesGoRound(t *testing.T) {
	onBoth(t, func(m merchant) {
		m.run(0, "migrate")
		_, stderr := m.run(1, "import", m.file("shop.csv", shopFile))
		assert.Contains(m.t, stderr, "nothing was changed, because 5 of 5 rows have problems")
		stdout, _ := m.run(0, "import", m.file("shop.csv", shopFile), "--create")
		assert.Equal(m.t, "5 rows: 0 increases, 0 decreases, 1 unchanged, 4 created, 0 refused; 4 new products, 2 new locations\n", stdout)

		for _, format := range []string{"shop", "shop-17", "csv", "jsonl"} {
			before := m.export(format)
			stdout, _ = m.run(0, "import", m.file("again."+format, before))
			assert.Regexp(m.t, `^(\d+) rows: 0 increases, 0 decreases, \d+ unchanged, 0 created, 0 refused\n$`, stdout, format)
			assert.Equal(m.t, before, m.export(format), "%s: the same bytes", format)

			other := m
			other.home = m.t.TempDir()
			other.database = "--database-url=sqlite:" + filepath.Join(other.home, "other.db")
			other.run(0, "import", other.file("in."+format, before), "--create")
			assert.Equal(m.t, before, other.export(format), "%s: the same bytes from another database", format)
		}
		assert.Contains(m.t, m.export("shop"), "shirt,T-Shirt,Size,M,,,,,,,,North,,4,1,0,7,8,\n")
	})
}

// TestImportCountedAt: units sold after the time of a count stay sold. The time is in the
// file, or on the command line. An older count is refused.
func TestImportCountedAt(t *testing.T) {
	onBoth(t, func(m merchant) {
		m.run(0, "import", m.file("opening.csv", "product_id,title,location_id,available\nmug,Mug,North,10\ncup,Cup,North,4\n"), "--create")
		moment := func() string { // on the database's clock, which only time moves: between two milliseconds
			time.Sleep(2 * time.Millisecond)
			defer time.Sleep(2 * time.Millisecond)
			return time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
		}
		early := moment()
		s := serve(m.t, m.database)
		s.post(`mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "mug", quantity: 3}], ttlSeconds: 3600}) { reservation { id } } }`)
		late := moment()
		count := m.file("count.csv", "product_id,location_id,available,available_new,counted_at\nmug,North,10,9,"+early+"\ncup,North,4,,\n")
		const changed = "line 2: mug at North: available 7 -> 6 (-1)\n2 rows: 0 increases, 1 decrease, 1 unchanged, 0 created, 0 refused"
		stdout, _ := m.run(0, "import", count, "--dry-run")
		assert.Equal(m.t, changed+" (dry run: nothing was changed)\n", stdout)
		stdout, _ = m.run(0, "import", count)
		assert.Equal(m.t, changed+"\n", stdout)
		stdout, _ = m.run(0, "import", count)
		assert.Equal(m.t, "2 rows: 0 increases, 0 decreases, 2 unchanged, 0 created, 0 refused\n", stdout)

		shop := m.file("shop.csv", strings.Replace(m.export("shop"), "mug,,,North,,0,0,3,6,9,\n", "mug,,,North,,0,0,3,6,9,8\n", 1))
		stdout, _ = m.run(0, "import", shop, "--counted-at", late, "--report", "-")
		assert.Contains(m.t, stdout, "mug,North,changed,6,5,9,8,available 6 -> 5 (-1)\n")
		stdout, _ = m.run(1, "import", count)
		assert.Contains(m.t, stdout, "line 2: mug at North: counted at "+early+", and the level was counted later already, at "+late+"\n")
		assert.Contains(m.t, stdout, "1 refused (1 superseded) (nothing was changed)\n")
		stdout, _ = m.run(1, "import", m.file("future.jsonl", `{"productId":"mug","locationId":"North","available":1,"countedAt":"2999-01-01T00:00:00Z"}`))
		assert.Contains(m.t, stdout, "counted at 2999-01-01T00:00:00.000Z, which is in the future\n")
		_, _, err := parse(m.t, "import", "x", "--counted-at", "noon")
		assert.ErrorContains(m.t, err, "is not a time such as")
	})
}

// TestAMerchantEditsAnExport: the quantity written into On hand (new) is set,
// units sold meanwhile stay sold, and nothing else changes.
func TestAMerchantEditsAnExport(t *testing.T) {
	onBoth(t, func(m merchant) {
		m.run(0, "import", m.file("opening.csv", "product_id,title,location_id,available\nmug,Mug,North,10\ncup,Cup,North,4\njug,Jug,North,1\n"), "--create")
		edited := strings.Replace(m.export("shop"), "mug,Mug,Title,Default Title,,,,,mug,,,North,,0,0,0,10,10,\n", "mug,Mug,Title,Default Title,,,,,mug,,,North,,0,0,0,10,10,12\n", 1)

		s := serve(m.t, m.database)
		s.post(`mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "mug", quantity: 3}, {productId: "cup", quantity: 4}], ttlSeconds: 3600}) { reservation { id } } }`)
		const changed = "line 4: mug at North: available 7 -> 9 (+2)\n3 rows: 1 increase, 0 decreases, 2 unchanged, 0 created, 0 refused"
		const shows = "; 1 row asks for nothing and shows other quantities than there are: write new quantities into the columns for them"
		stdout, _ := m.run(0, "import", m.file("edited.csv", edited), "--dry-run")
		assert.Equal(m.t, changed+shows+" (dry run: nothing was changed)\n", stdout)
		assert.Contains(m.t, s.post(`{ stock(productId: "mug") { quantityAvailable } }`), `:7}`)

		stdout, _ = m.run(0, "import", m.file("edited.csv", edited))
		assert.Equal(m.t, changed+shows+"\n", stdout, "the dry run said what the real one does")
		require.Eventually(m.t, func() bool { // the server's relay publishes to its Redis
			return strings.Contains(s.post(`{ stock(productId: "mug") { quantityAvailable onHand reserved } }`), `{"quantityAvailable":9,"onHand":12,"reserved":3}`)
		}, patience, 20*time.Millisecond)
		assert.Contains(m.t, s.post(`{ stock(productId: "cup") { quantityAvailable } }`), `:0}`)

		stdout, _ = m.run(0, "import", m.file("edited.csv", edited))
		assert.Equal(m.t, "3 rows: 0 increases, 0 decreases, 3 unchanged, 0 created, 0 refused"+shows+"\n", stdout, "again: the stock is as the file asks already")

		report := filepath.Join(m.home, "report.csv")
		_, stderr := m.run(1, "import", m.file("late.csv", strings.Replace(edited, ",10,10,12\n", ",10,10,15\n", 1)), "--report", report)
		assert.Contains(m.t, stderr, "nothing was changed, because 1 of 3 rows have problems; correct them, or import the others with --skip-bad-rows")
		text, err := os.ReadFile(report)
		require.NoError(m.t, err)
		rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		require.NoError(m.t, err)
		assert.Equal(m.t, [][]string{
			{"line", "last_line", "product_id", "location_id", "outcome", "available_before", "available_after", "on_hand_before", "on_hand_after", "message"},
			{"2", "2", "cup", "North", "unchanged", "0", "0", "4", "4", "asks for nothing; available was 4 when the file was made and is 0"},
			{"3", "3", "jug", "North", "unchanged", "1", "1", "1", "1", ""},
			{"4", "4", "mug", "North", "stale", "9", "12", "12", "15", "on hand was 10 when the file was made and is 12; export again, or --ignore-stale"},
		}, rows)

		jug := m.file("jug.csv", "product_id,location_id,available\njug,North,8\ntea,North,1\n")
		stdout, stderr = m.run(2, "import", jug, "--skip-bad-rows")
		assert.Equal(m.t, "line 2: jug at North: available 1 -> 8 (+7); not compared\nline 3: tea at North: no product \"tea\"; --create adds it\n"+
			"2 rows: 1 increase, 0 decreases, 0 unchanged, 0 created, 1 refused (1 unknown product); 1 change not compared: the file does not say what was there\n", stdout)
		assert.Contains(m.t, stderr, "1 of 2 rows have problems and were left out; the others were imported")
		s.stop()
		assert.Contains(m.t, m.export("csv"), "jug,Jug,North,8,0,0,0,0,0,0,8,,,,,,\n")
	})
}

// TestTheProgramRefusesFiles: a broken file changes nothing, and the message
// says what to do.
func TestTheProgramRefusesFiles(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	m := merchant{t, home, "--database-url=sqlite:" + filepath.Join(home, "shop.db")}
	const head = "product_id,location_id,available\n"
	m.run(0, "import", m.file("good.csv", head+"mug,North,10\n"), "--create")
	before := m.export("csv")
	for text, want := range map[string]string{
		head + "mug,North,5\nmug,Nor":              "1 of 2 rows have problems",
		head + "mug,North,many\n":                  "1 of 1 rows have problems",
		head + "mug,North,5\n\"mug":                "rows have problems",
		head + "mug,North,5\nmug,North,6\n":        "2 of 2 rows have problems",
		"product_id,location_id,availible\n":       "the column availible is not known",
		retailHeader + "1,mug,x,1,yesterday,1,,UK": "yesterday",
	} {
		_, stderr := m.run(1, "import", m.file("broken.csv", text))
		assert.Contains(t, stderr, want)
		assert.Contains(t, stderr, "broken.csv")
	}
	for _, args := range [][]string{
		{"--report", filepath.Join(home, "nowhere", "report.csv")}, {"--replace"},
	} {
		_, stderr := m.run(1, append([]string{"import", filepath.Join(home, "good.csv")}, args...)...)
		assert.Contains(t, stderr, strings.TrimPrefix(args[0], "--")[:4])
	}
	_, stderr := m.run(1, "import", filepath.Join(home, "good.csv"), "--format", "jsonl")
	assert.Contains(t, stderr, "the file is csv, not jsonl")
	_, stderr = m.run(1, "import", m.file("sales.csv", retailHeader), "--dry-run")
	assert.Contains(t, stderr, "for a file of invoices there are only --opening and --replace")
	_, stderr = m.run(1, "export", filepath.Join(home, "nowhere", "export.csv"))
	assert.Contains(t, stderr, "cannot be written")
	assert.Equal(t, before, m.export("csv"))
	stdout, _ := m.run(0, "export")
	assert.Equal(t, before, stdout, "without a file, to the standard output")
	m.run(0, "export", filepath.Join(home, "export.jsonl.gz"))
	stdout, _ = m.run(0, "import", filepath.Join(home, "export.jsonl.gz"))
	assert.Equal(t, "1 rows: 0 increases, 0 decreases, 1 unchanged, 0 created, 0 refused\n", stdout)
	left, err := filepath.Glob(filepath.Join(home, ".*.*"))
	require.NoError(t, err)
	assert.Empty(t, left, "no temporary file is left")
}
