package cli

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

const ownHead = "product_id,location_id,available\n"

// shopWith is a merchant whose database has these rows.
func shopWith(t *testing.T, rows string) merchant {
	t.Helper()
	home := t.TempDir()
	m := merchant{t, home, "--database-url=sqlite:" + filepath.Join(home, "shop.db")}
	m.run(0, "import", m.file("seed.csv", ownHead+rows), "--create")
	return m
}

// runWith runs a command with a standard input, and returns both outputs.
func (m merchant) runWith(stdin string, args ...string) (stdout, stderr string, err error) {
	m.t.Helper()
	line, parsed, err := parse(m.t, append(args, m.database)...)
	require.NoError(m.t, err)
	var out, errors strings.Builder
	err = newCommand(line, parsed, strings.NewReader(stdin), outputs{&out, &errors}).Run(m.t.Context())
	return out.String(), errors.String(), err
}

// report is the report of an import.
func (m merchant) report(path string) [][]string {
	m.t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(m.t, err)
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	require.NoError(m.t, err)
	return rows
}

// TestEveryLineIsInTheReport: each line of a broken file is in the report once.
func TestEveryLineIsInTheReport(t *testing.T) {
	t.Parallel()
	m := shopWith(t, "SKU-A,London,5\nSKU-B,London,5\nSKU-C,London,5\n")
	file := shopHead +
		"a,T,Title,Default Title,,,,,SKU-A,,,London,,0,0,0,5,5,7\n" +
		"a,\"Cable 16,Title,Default Title,,,,,SKU-A,,,London,,0,0,0,5,5,7\n" +
		"b,T,Title,Default Title,,,,,SKU-B,,,London,,0,0,0,5,5,9\n" +
		"c,Cable 16\",Title,Default Title,,,,,SKU-C,,,London,,0,0,0,5,5,8\n" +
		"c,12\" Cable,Title,Default Title,,,,,SKU-C,,,London,,0,0,0,5,5,8\n" +
		"b,Caf\xe9,Title,Default Title,,,,,SKU-B,,,London,,0,0,0,5,5,9\n" +
		"b,\"two\nlines\",Title,Default Title,,,,,SKU-B,,,London,,0,0,0,5,5,9\n" +
		"c,\"open,Title,Default Title,,,,,SKU-C,,,London,,0,0,0,5,5,8\n" +
		"c,T,Title,Default Title,,,,,SKU-C,,,London,,0,0,0,5\n"
	report := filepath.Join(m.home, "report.csv")
	before := m.export("csv")
	stdout, stderr := m.run(1, "import", m.file("a.csv", file), "--report", report)
	assert.Contains(t, stderr, "6 of 9 rows have problems")
	assert.Contains(t, stdout, "lines 3 to 5 are read as one row")
	assert.Contains(t, stdout, "(nothing was changed)")
	assert.NotContains(t, stdout+stderr, "bare")
	assert.NotContains(t, stdout+stderr, "quoted-field")
	var lines []int
	for _, row := range m.report(report)[1:] {
		first, err := strconv.Atoi(row[0])
		require.NoError(t, err)
		last, err := strconv.Atoi(row[1])
		require.NoError(t, err)
		for line := first; line <= last; line++ {
			lines = append(lines, line)
		}
	}
	assert.Equal(t, []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, lines)
	assert.Equal(t, before, m.export("csv"), "nothing was written")
}

// TestTheCasesOfMerchants: files that merchants sent, and their relatives.
func TestTheCasesOfMerchants(t *testing.T) {
	t.Parallel()
	row := func(sku, location, onHandNew string) string {
		return "h,T,Title,Default Title,,,,," + sku + ",,," + location + ",,0,0,0,5,5" + onHandNew + "\n"
	}
	for name, c := range map[string]struct {
		seed, file, want string
		code             int
		args             []string
	}{
		"short rows":           {"SKU-A,London,5\nSKU-B,London,5\n", shopHead + row("SKU-A", "London", ",9") + row("SKU-B", "London", ""), "available 5 -> 9 (+4)\n2 rows: 1 increase, 0 decreases, 1 unchanged", 0, nil},
		"apostrophe":           {"SKU-A,London,5\n", shopHead + row("SKU-A", "London", ",'7"), "available 5 -> 7 (+2)", 0, nil},
		"data frame":           {"SKU-A,London,5\n", shopHead + row("SKU-A", "London", ",7.0"), "available 5 -> 7 (+2)", 0, nil},
		"sep=":                 {"SKU-A,London,5\n", "sep=;\r\n" + strings.ReplaceAll(strings.ReplaceAll(shopHead+row("SKU-A", "London", ",7"), ",", ";"), "\n", "\r\n"), "line 3: SKU-A at London: available 5 -> 7 (+2)", 0, nil},
		"thousands":            {"SKU-A,London,5\n", shopHead + row("SKU-A", "London", `,"1,200"`), `the On hand (new) "1,200" is not a whole number; write thousands without a separator`, 1, nil},
		"decrease":             {"SKU-A,London,8\nSKU-B,London,5\n", ownHead + "SKU-A,London,5\nSKU-B,London,5\n", "SKU-A at London: available 8 -> 5 (-3); not compared\n2 rows: 0 increases, 1 decrease, 1 unchanged, 0 created, 0 refused", 0, nil},
		"zeros":                {"0017,London,5\n", shopHead + row("17", "London", ","), `the product "17" is new, and near to "0017"; correct it, or --create-similar adds it`, 1, []string{"--create"}},
		"decimals":             {"90.750,London,5\n", shopHead + row("90.75", "London", ","), `"90.75" is new, and near to "90.750"`, 1, []string{"--create"}},
		"exponent":             {"1E5,London,5\n", shopHead + row("1.00E+05", "London", ","), `"1.00E+05" is new, and near to "1E5"`, 1, []string{"--create"}},
		"location's case":      {"SKU-A,London,5\n", shopHead + row("SKU-A", "LONDON", ","), `the location "LONDON" is new, and near to "London"`, 1, []string{"--create"}},
		"location's blanks":    {"SKU-A,London,5\n", shopHead + row("SKU-A", "London  ", ","), `the Location must not end with a blank: "London  "`, 1, []string{"--create"}},
		"meant so":             {"SKU-A,London,5\n", shopHead + row("SKU-A", "LONDON", ","), "1 created, 0 refused; 0 new products, 1 new locations", 0, []string{"--create-similar"}},
		"Windows-1252":         {"SKU-A,London,5\n", strings.Replace(shopHead+row("NEW", "London", ","), ",T,", ",Caf\xe9,", 1), "the line is not UTF-8 at ", 1, []string{"--create"}},
		"edited what is shown": {"SKU-A,London,5\n", "product_id,location_id,available,available_new\nSKU-A,London,7,\n", "1 row asks for nothing and shows other quantities than there are: write new quantities into the columns for them", 0, nil},
		"edited an export":     {"SKU-A,London,5\n", "product_id,title,location_id,available,reserved,committed,damaged,quality_control,safety_stock,incoming,on_hand,available_new\nSKU-A,,London,7,0,0,0,0,0,0,5,\n", "to change stock, write the new quantity (available_new, on_hand_new, new)", 1, nil},
		"not compared":         {"SKU-A,London,5\n", "product_id,location_id,available_new\nSKU-A,London,7\n", "1 change not compared: the file does not say what was there", 0, nil},
		"not compared, shop":   {"SKU-A,London,5\n", "Handle,SKU,Location,On hand (new)\nh,SKU-A,London,7\n", "1 change not compared: the file does not say what was there", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := shopWith(t, c.seed)
			before := m.export("csv")
			file := m.file("in.csv", c.file)
			dry, _ := m.run(c.code, slices.Concat([]string{"import", file, "--dry-run"}, c.args)...)
			assert.Contains(t, strings.ReplaceAll(dry, " (dry run: nothing was changed)", ""), c.want)
			assert.Equal(t, before, m.export("csv"), "a dry run changes nothing")
			stdout, _ := m.run(c.code, slices.Concat([]string{"import", file}, c.args)...)
			assert.Contains(t, stdout, c.want)
			if c.code != 0 {
				assert.Equal(t, before, m.export("csv"), "nothing was written")
			}
		})
	}
}

// TestWhatIsNeverReplaced: a report or an export does not replace the input or a file
// of the database, by whatever name.
func TestWhatIsNeverReplaced(t *testing.T) {
	t.Parallel()
	m := shopWith(t, "mug,North,5\n")
	input := m.file("in.csv", ownHead+"mug,North,7\n")
	database := filepath.Join(m.home, "shop.db")
	link, hard := filepath.Join(m.home, "link.csv"), filepath.Join(m.home, "hard.csv")
	require.NoError(t, os.Symlink(input, link))
	require.NoError(t, os.Link(input, hard))
	same := filepath.Join(m.home, "..", filepath.Base(m.home), "in.csv")
	require.NoError(t, os.WriteFile(database+"-journal", nil, 0o600))
	for _, path := range []string{input, link, hard, same, database, database + "-journal"} {
		_, stderr := m.run(1, "import", input, "--report", path)
		assert.Contains(t, stderr, "which is in use; name another file", path)
	}
	for _, path := range []string{database, database + "-journal"} {
		_, stderr := m.run(1, "export", path)
		assert.Contains(t, stderr, "which is in use; name another file", path)
	}
	text, err := os.ReadFile(input)
	require.NoError(t, err)
	assert.Equal(t, ownHead+"mug,North,7\n", string(text))
	_, stderr := m.run(1, "export", m.home)
	assert.Contains(t, stderr, "it is a folder; name a file in it")

	old := m.file("old.csv", "old")
	require.NoError(t, os.Symlink(old, filepath.Join(m.home, "to-old.csv")))
	m.run(0, "export", filepath.Join(m.home, "to-old.csv"))
	info, err := os.Lstat(filepath.Join(m.home, "to-old.csv"))
	require.NoError(t, err)
	assert.Equal(t, os.ModeSymlink, info.Mode().Type(), "the link stays")
	info, err = os.Stat(old)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode(), "and the permissions of the file")
	m.run(0, "import", input, "--report", os.DevNull)
	info, err = os.Stat(os.DevNull)
	require.NoError(t, err)
	assert.False(t, info.Mode().IsRegular(), "a device stays one")
}

// TestStandardStreams: - is the standard input and output, in every format.
func TestStandardStreams(t *testing.T) {
	t.Parallel()
	m := shopWith(t, "mug,North,5\n")
	stdout, _, err := m.runWith(ownHead+"mug,North,7\n", "import", "-")
	require.NoError(t, err)
	assert.Contains(t, stdout, "mug at North: available 5 -> 7 (+2)")
	stdout, stderr, err := m.runWith(ownHead+"mug,North,6\n", "import", "-", "--report", "-")
	require.NoError(t, err)
	assert.Contains(t, stderr, "1 rows: 0 increases, 1 decrease")
	rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 2, "the report alone")
	for _, args := range [][]string{{"export"}, {"export", "-"}} {
		stdout, _, err = m.runWith("", args...)
		require.NoError(t, err)
		assert.Equal(t, m.export("csv"), stdout)
	}
	sales := retailHeader + "100,22423,CAKESTAND,4,2010-12-01T08:26:00,2.55,17850,UK\n"
	stdout, _, err = m.runWith(sales, "import", "-")
	require.NoError(t, err)
	assert.Contains(t, stdout, "1 products, 4 units")
	_, _, err = m.runWith("", "import", "-")
	require.EqualError(t, err, "-: the file is empty")
	left, err := filepath.Glob(filepath.Join(m.home, "*-*"))
	require.NoError(t, err)
	for _, name := range left {
		assert.NotEqual(t, "-", filepath.Base(name))
	}
}

// TestReadingCreatesNothing: only serve, migrate and an import that creates make a
// database, and none makes a folder.
func TestReadingCreatesNothing(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	m := merchant{t, home, "--database-url=sqlite:" + filepath.Join(home, "shop.db")}
	file := m.file("in.csv", ownHead+"mug,North,5\n")
	for _, command := range [][]string{{"export"}, {"export", filepath.Join(home, "out.csv")}, {"audit"}, {"import", file}, {"import", file, "--dry-run"}} {
		code := 1
		if command[0] == "audit" {
			code = auditFailed
		}
		_, stderr := m.run(code, command...)
		assert.Contains(t, stderr, "no such database: "+filepath.Join(home, "shop.db"))
		require.NoError(t, os.WriteFile(filepath.Join(home, "shop.db"), nil, 0o600))
		_, stderr = m.run(code, command...)
		assert.Contains(t, stderr, "no such database", "an empty file is none")
		require.NoError(t, os.Remove(filepath.Join(home, "shop.db")))
	}
	stdout, _ := m.run(0, "import", file, "--create", "--dry-run")
	assert.Contains(t, stdout, "1 created, 0 refused; 1 new products, 1 new locations (dry run: nothing was changed)")
	entries, err := os.ReadDir(home)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "the input alone")

	m.database = "--database-url=sqlite:" + filepath.Join(home, "nowhere", "shop.db")
	for _, command := range [][]string{{"serve", "--listen-addr=127.0.0.1:0"}, {"migrate"}, {"import", file, "--create"}} {
		_, stderr := m.run(1, command...)
		assert.Contains(t, stderr, "there is no folder "+filepath.Join(home, "nowhere"))
	}
	_, err = os.Stat(filepath.Join(home, "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestReadingAnEmptyServer: an export from a Postgres without tables makes none, whatever its account may do.
func TestReadingAnEmptyServer(t *testing.T) {
	t.Parallel()
	dsn := storetest.PrivatePostgres(t).DSN("postgres")
	for _, account := range []string{storetest.ServerAccount(dsn), storetest.OwnerAccount(dsn), storetest.OwnerAccount(dsn)} {
		m := merchant{t, t.TempDir(), "--database-url=" + account}
		_, stderr := m.run(1, "export")
		assert.Contains(t, stderr, "no such database")
	}
}

// TestAMissingFile is one line, not the help.
func TestAMissingFile(t *testing.T) {
	t.Parallel()
	m := shopWith(t, "mug,North,5\n")
	missing := filepath.Join(m.home, "missing.csv")
	_, _, err := m.runWith("", "import", missing)
	require.EqualError(t, err, "there is no file "+missing)
	_, _, err = m.runWith("", "import", m.home)
	require.EqualError(t, err, m.home+" cannot be read: it is a folder")
}

// TestNoteAndActor: the ledger says why and who.
func TestNoteAndActor(t *testing.T) {
	t.Parallel()
	m := shopWith(t, "mug,North,5\n")
	m.run(0, "import", m.file("count.csv", ownHead+"mug,North,7\n"), "--note", "shelf 7")
	_, stderr := m.run(1, "import", m.file("count.csv", ownHead+"mug,North,7\n"), "--note", "a\nb")
	assert.Contains(t, stderr, "--note must not contain control characters")
	s := serve(t, m.database)
	defer s.stop()
	me, err := user.Current()
	require.NoError(t, err)
	answer := s.post(`{ stockMovements(first: 1, filter: {productId: "mug"}) { nodes { note actor reference } } }`)
	assert.JSONEq(t, `{"data":{"stockMovements":{"nodes":[{"note":"shelf 7","actor":"`+me.Username+`","reference":"count.csv"}]}}}`, answer)
}

// TestInputBeginsAgain: a file is read from its start by the reader of another
// format, also when it cannot be rewound.
func TestInputBeginsAgain(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 20_000)
	in, err := openInput("-", strings.NewReader(text))
	require.NoError(t, err)
	_, err = io.ReadFull(in, make([]byte, 70_000))
	require.NoError(t, err)
	all, err := io.ReadAll(in.again())
	require.NoError(t, err)
	assert.Equal(t, text, string(all))
	_, err = openInput(filepath.Join(t.TempDir(), "x"), nil)
	require.Error(t, err)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}
