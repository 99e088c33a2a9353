package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// fileMode is the usual mode of a file that a program writes; CreateTemp gives
// the owner access only.
const fileMode fs.FileMode = 0o644

// standardStream is the file name that means the standard input or output.
const standardStream = "-"

// output is where an export or a report is written.
type output interface {
	io.Writer
	// commit makes what was written permanent; discard drops it. After commit,
	// discard does nothing.
	commit() error
	discard()
}

// newOutput opens a file for writing, or the standard output for "-". spared are
// files that it must not replace.
//
// Errors: the file is one of spared, by any name; it is a folder; its folder does
// not exist.
func newOutput(path string, stdout io.Writer, spared ...string) (output, error) {
	if path == standardStream {
		return stream{bufio.NewWriter(stdout)}, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newReplacement(path, fileMode)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", path, withoutPath(err))
	}
	for _, other := range spared {
		if there, err := os.Stat(other); err == nil && os.SameFile(info, there) {
			return nil, fmt.Errorf("%s cannot be written: it is %s, which is in use; name another file", path, other)
		}
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s cannot be written: it is a folder; name a file in it", path)
	case !info.Mode().IsRegular(): // a device or a pipe: renaming a file to it would replace it
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be written: %w", path, withoutPath(err))
		}
		return device{stream{bufio.NewWriter(file)}, file}, nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // the link stays
		return nil, err
	}
	return newReplacement(path, info.Mode().Perm())
}

// withoutPath drops the operation and the path from an error of the file system.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// stream is an output that cannot be taken back.
type stream struct{ *bufio.Writer }

func (s stream) commit() error { return s.Flush() }
func (s stream) discard()      {}

// device is a file that is no regular one, such as /dev/null or a pipe.
type device struct {
	stream
	file *os.File
}

func (d device) commit() error { return errors.Join(d.Flush(), d.file.Close()) }
func (d device) discard()      { _ = d.file.Close() }

// replacement is a file that is written beside its final path and renamed to it
// when it is complete. A file that was there before stays until then.
type replacement struct {
	*bufio.Writer
	file *os.File
	path string
	mode fs.FileMode
}

func newReplacement(path string, mode fs.FileMode) (*replacement, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", path, withoutPath(err))
	}
	return &replacement{Writer: bufio.NewWriter(file), file: file, path: path, mode: mode}, nil
}

// commit renames the file to its final path.
func (r *replacement) commit() error {
	err := r.Flush()
	if err == nil {
		err = r.file.Chmod(r.mode)
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

// input is the file of an import. It keeps what was read until forget, so that a
// reader of another format can begin again, also on the standard input.
type input struct {
	bar     *fileBar
	file    io.Closer // nil for the standard input
	kept    *bytes.Buffer
	keeping bool
}

// openInput opens a file, or the standard input for "-".
//
// Errors: there is no such file; it is a folder.
func openInput(path string, stdin io.Reader) (*input, error) {
	if path == standardStream {
		return &input{bar: &fileBar{bar: newBar(), file: stdin}, kept: &bytes.Buffer{}, keeping: true}, nil
	}
	file, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", path)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", path, withoutPath(err))
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("it is a folder")
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	size := 0
	if info.Mode().IsRegular() {
		size = int(info.Size())
	}
	return &input{bar: &fileBar{bar: newBar(), file: file, size: size}, file: file, kept: &bytes.Buffer{}, keeping: true}, nil
}

// Read implements io.Reader.
func (i *input) Read(p []byte) (int, error) {
	n, err := i.bar.Read(p)
	if i.keeping {
		i.kept.Write(p[:n])
	}
	return n, err
}

// again returns a reader that begins at the start of the file.
func (i *input) again() io.Reader {
	i.keeping = false
	return io.MultiReader(i.kept, i.bar)
}

// forget drops what was kept.
func (i *input) forget() { i.keeping, i.kept = false, nil }

func (i *input) close() {
	if i.file != nil {
		_ = i.file.Close()
	}
}
