package web

import (
	"path"
	"strings"
)

// operationsDir holds one file per tab, named NN-name.graphql: the number
// gives the order.
const operationsDir = "operations"

// Operation is one sample document of the playground. A document may hold
// several operations; GraphiQL then asks which one to run.
type Operation struct {
	Name string // of the file, without number and ending: "product-list"
	Text string // the whole document, comments included
}

// Operations returns the sample documents in the order of their tabs. They are
// exported so that a test can check each against the schema that is served.
func Operations() []Operation {
	entries, err := files.ReadDir(operationsDir)
	if err != nil {
		panic("web: " + err.Error())
	}
	operations := make([]Operation, 0, len(entries))
	for _, entry := range entries { // sorted by file name
		_, name, _ := strings.Cut(strings.TrimSuffix(entry.Name(), path.Ext(entry.Name())), "-")
		operations = append(operations, Operation{
			Name: name,
			Text: string(mustRead(path.Join(operationsDir, entry.Name()))),
		})
	}
	return operations
}
