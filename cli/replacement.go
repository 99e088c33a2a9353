package cli

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
)

// fileMode is the usual mode of a file that a program writes; CreateTemp gives
// the owner access only.
const fileMode = 0o644

// replacement is a file that is written beside its final path and renamed to it
// when it is complete. A file that was there before stays until then.
type replacement struct {
	*bufio.Writer
	file *os.File
	path string
}

func newReplacement(path string) (*replacement, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return &replacement{Writer: bufio.NewWriter(file), file: file, path: path}, nil
}

// commit renames the file to its final path.
func (r *replacement) commit() error {
	err := r.Flush()
	if err == nil {
		err = r.file.Chmod(fileMode)
	}
	if closed := r.file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(r.file.Name(), r.path)
	}
	return err
}

// discard deletes the file. After commit it does nothing.
func (r *replacement) discard() {
	_ = r.file.Close()
	_ = os.Remove(r.file.Name())
}
