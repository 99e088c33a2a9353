package web

import (
	"path"
	"strings"
)

// operationsDir has one file per tab, named NN-name.graphql. The number is the order.
const operationsDir = "operations"

// SampleOperation is one sample document of the playground. A document can have several
// operations. GraphiQL then asks which one to run.
type SampleOperation struct {
	Name string // of the file, without number and ending: "product-list"
	Text string // the whole document, comments included
}

// SampleOperations returns the sample documents in the order of their tabs. It is
// exported so that a test can check them against the schema.
func SampleOperations() []SampleOperation {
	entries, err := files.ReadDir(operationsDir)
	if err != nil {
		panic("web: " + err.Error())
	}
	operations := make([]SampleOperation, 0, len(entries))
	for _, entry := range entries { // sorted by file name
		_, name, _ := strings.Cut(strings.TrimSuffix(entry.Name(), path.Ext(entry.Name())), "-")
		operations = append(operations, SampleOperation{
			Name: name,
			Text: string(mustRead(path.Join(operationsDir, entry.Name()))),
		})
	}
	return operations
}
