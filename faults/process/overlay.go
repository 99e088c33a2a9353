package process

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// migrations is the directory of the migrations of Postgres, from the root of the product's module.
const migrations = "store/database/postgres/migrations"

// BuildWithMigrations builds the program with more migrations, by the names of their files: a later version of it. The
// tree stays as it is. The caller names the build.
func BuildWithMigrations(t testing.TB, name string, files map[string]string) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	directory, replace := t.TempDir(), map[string]string{}
	for file, text := range files {
		path := filepath.Join(directory, file)
		writeFile(t, path, text)
		replace[filepath.Join(root, migrations, file)] = path
	}
	overlay, _ := json.Marshal(map[string]any{"Replace": replace}) // strings; cannot fail
	writeFile(t, filepath.Join(directory, "overlay.json"), string(overlay))
	program := filepath.Join(directory, "onhand-"+name)
	goTool(t, append(append([]string{"build", "-overlay", filepath.Join(directory, "overlay.json"), "-o", program}, raceFlag()...), ".")...)
	return program
}
