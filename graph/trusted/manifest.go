package trusted

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// The bounds of a manifest. A large storefront has some hundreds of documents.
const (
	manifestBytesMax     = 16 << 20
	ManifestDocumentsMax = 10_000
	idBytesMax           = 255
)

// apolloFormat is the value of "format" in Apollo's manifests.
const apolloFormat = "apollo-persisted-query-manifest"

// manifest is a manifest that was read. It does not change.
type manifest struct {
	documents map[string]string   // by id
	texts     map[string]struct{} // of all documents
	refused   []string            // the ids that were left out, with the reasons
}

// readManifest reads a file. check says why a document cannot be executed.
func readManifest(path string, check func(text string) error) (*manifest, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, manifestBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(data) > manifestBytesMax {
		return nil, fmt.Errorf("the manifest is larger than %d MiB", manifestBytesMax>>20)
	}
	documents, err := parseManifest(data)
	if err != nil {
		return nil, err
	}
	return checked(documents, check), nil
}

// parseManifest returns the documents of a manifest by their ids.
func parseManifest(data []byte) (documents map[string]string, err error) {
	var apollo struct {
		Format     string
		Version    int
		Operations []struct{ ID, Body string }
	}
	if json.Unmarshal(data, &apollo) != nil || apollo.Format != apolloFormat {
		if err := json.Unmarshal(data, &documents); err != nil {
			return nil, errors.New(`the manifest is neither Apollo's, with "format": "` + apolloFormat + `", nor Relay's: one JSON object from ids to documents`)
		}
		return documents, checkIDs(documents)
	}
	if apollo.Version != 1 {
		return nil, fmt.Errorf("the manifest has version %d of its format; only 1 is known", apollo.Version)
	}
	documents = make(map[string]string, len(apollo.Operations))
	for _, operation := range apollo.Operations {
		if text, known := documents[operation.ID]; known && text != operation.Body {
			return nil, fmt.Errorf("the manifest has two documents with the id %.100q", operation.ID)
		}
		documents[operation.ID] = operation.Body
	}
	return documents, checkIDs(documents)
}

func checkIDs(documents map[string]string) error {
	if len(documents) > ManifestDocumentsMax {
		return fmt.Errorf("a manifest has at most %d documents, not %d", ManifestDocumentsMax, len(documents))
	}
	for id := range documents {
		if id == "" || len(id) > idBytesMax {
			return fmt.Errorf("an id has 1 to %d bytes: %.100q", idBytesMax, id)
		}
	}
	return nil
}

// checked leaves out what cannot be executed.
func checked(documents map[string]string, check func(text string) error) *manifest {
	m := &manifest{documents: documents, texts: make(map[string]struct{}, len(documents))}
	for id, text := range documents {
		if err := check(text); err != nil {
			m.refused = append(m.refused, id+": "+err.Error())
			delete(documents, id)
			continue
		}
		m.texts[text] = struct{}{}
	}
	slices.Sort(m.refused)
	return m
}
