package configfile

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

const (
	// bytesMax bounds the file: all settings together are a few kilobytes.
	bytesMax = 256 << 10
	// typosMax is how far the nearest name may be from a wrong one.
	typosMax = 4
	// fileSuffix ends the name of a setting that names a file with the value of another one.
	fileSuffix = "-file"
)

// FileValues are the values of a file. It implements [kong.Resolver].
type FileValues struct{ values map[string]string }

// Read reads the file at path. Names says which settings there are.
//
// Errors: the file cannot be read, is larger than 256 KiB or no mapping; a name is no setting or is there twice; a
// value is neither a word, a number nor a list of them.
func Read(path string, names []string) (*FileValues, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration file: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, bytesMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the configuration file: %w", err)
	case len(text) > bytesMax:
		return nil, fmt.Errorf("the configuration file %s is larger than %d bytes", path, bytesMax)
	}
	values, err := parse(text, names)
	if err != nil {
		return nil, fmt.Errorf("the configuration file %s: %w", path, err)
	}
	return &FileValues{values}, nil
}

// parse takes a text apart, and reports everything that is wrong with it.
func parse(text []byte, names []string) (map[string]string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, errors.New(strings.TrimSuffix("it is no YAML: "+lineNumber.FindString(err.Error()), ": "))
	}
	if document.Kind == 0 { // empty, or comments alone
		return nil, nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("it must be a mapping from names of settings to values")
	}
	values := map[string]string{}
	var wrong []error
	for i := 0; i < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		value, err := valueOf(node)
		_, twice := values[key.Value]
		switch {
		case !slices.Contains(names, key.Value):
			err = unknown(key.Value, names)
		case twice:
			err = fmt.Errorf("%s is there twice", key.Value)
		case err != nil:
			err = fmt.Errorf("%s %w", key.Value, err)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", key.Line, err))
			continue
		}
		values[key.Value] = value
	}
	return values, errors.Join(wrong...)
}

// lineNumber is what an error of the parser may show: the rest can quote a value.
var lineNumber = regexp.MustCompile(`line \d+`)

// valueOf is a value as an environment variable would have it: a list has commas.
func valueOf(node *yaml.Node) (string, error) {
	switch {
	case node.Kind == yaml.ScalarNode && node.Tag != "!!null":
		return node.Value, nil
	case node.Kind != yaml.SequenceNode:
		return "", errors.New("must be one value or a list of values")
	}
	var values []string
	for _, item := range node.Content {
		if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
			return "", errors.New("has an item that is no single value")
		}
		values = append(values, item.Value)
	}
	return strings.Join(values, ","), nil
}

// unknown says which setting the writer may have meant.
func unknown(name string, names []string) error {
	plain := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	nearest, distance := "", typosMax+1
	for _, known := range slices.Sorted(slices.Values(names)) {
		if d := levenshtein.ComputeDistance(plain, known); d < distance {
			nearest, distance = known, d
		}
	}
	if nearest == "" {
		return fmt.Errorf("%q is no setting", name)
	}
	return fmt.Errorf("%q is no setting; is it %s?", name, nearest)
}

// Validate implements [kong.Resolver]. Read has checked the names.
func (*FileValues) Validate(*kong.Application) error { return nil }

// Resolve implements [kong.Resolver]: the value of a flag that neither the command line nor the environment gives. Kong
// asks for no flag of the command line.
func (r *FileValues) Resolve(c *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	value, given := r.values[flag.Name]
	if !given || len(flag.Envs) == 0 || inEnvironment(flag) {
		return nil, nil
	}
	for _, other := range parent.Flags {
		if isPair(flag.Name, other.Name) && (inEnvironment(other) || onCommandLine(c, other)) {
			return nil, nil
		}
	}
	return value, nil
}

// Names lists what the file gives a value, sorted.
func (r *FileValues) Names() []string { return slices.Sorted(maps.Keys(r.values)) }

func isPair(a, b string) bool { return a+fileSuffix == b || b+fileSuffix == a }

func inEnvironment(flag *kong.Flag) bool {
	return slices.ContainsFunc(flag.Envs, func(name string) bool {
		_, given := os.LookupEnv(name)
		return given
	})
}

func onCommandLine(c *kong.Context, flag *kong.Flag) bool {
	return slices.ContainsFunc(c.Path, func(p *kong.Path) bool { return p.Flag == flag && !p.Resolved })
}
