package trusted

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// extensionName is the member of a request's extensions that has an id.
const extensionName = "persistedQuery"

const (
	// reloadInterval is how often the file is looked at.
	reloadInterval = 2 * time.Second
	// refusedLogged is how many of the documents that are left out are logged.
	refusedLogged = 10
)

// OpenConfig is what trusted documents need.
type OpenConfig struct {
	// Path is the file of the manifest.
	Path string
	// Only refuses other documents.
	Only bool
	// Exempt reports whether a caller may send other documents all the same.
	Exempt func(context.Context) bool
	// Always reports whether every caller may send a document; nil for none.
	Always func(text string) bool
	// Check says why a document cannot be executed.
	Check func(text string) error
	Log   *slog.Logger
}

// TrustedDocuments serves trusted documents. It is a gqlgen extension, and must come before
// automatic persisted queries. Make it with Open.
type TrustedDocuments struct {
	config   OpenConfig
	manifest atomic.Pointer[manifest]
	seen     os.FileInfo // of the file that was read last; nil where it could not be read
}

var (
	_ graphql.HandlerExtension          = (*TrustedDocuments)(nil)
	_ graphql.OperationParameterMutator = (*TrustedDocuments)(nil)
)

// Open reads the manifest. It fails when the file is no manifest.
func Open(config OpenConfig) (*TrustedDocuments, error) {
	d := &TrustedDocuments{config: config}
	d.seen, _ = os.Stat(config.Path) // reading reports the error
	if err := d.read(); err != nil {
		return nil, fmt.Errorf("trusted documents: %w", err)
	}
	return d, nil
}

// Len is the number of ids.
func (d *TrustedDocuments) Len() int { return len(d.manifest.Load().documents) }

// Watch reads the file again whenever it changes, until the context ends.
func (d *TrustedDocuments) Watch(ctx context.Context) {
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.reload()
		}
	}
}

// reload reads the file when it changed. A change is another file, time or size: a new
// file may be renamed over the old one, and a link may name another file.
func (d *TrustedDocuments) reload() {
	now, err := os.Stat(d.config.Path)
	switch {
	case err == nil && d.seen != nil && os.SameFile(now, d.seen) && now.ModTime().Equal(d.seen.ModTime()) && now.Size() == d.seen.Size():
		return
	case err != nil && d.seen == nil:
		return // logged already
	}
	d.seen = nil
	if err == nil {
		d.seen = now
		err = d.read()
	}
	if err != nil {
		d.config.Log.Error("trusted documents: the manifest was not read; the documents stay as they are", "error", err)
	}
}

func (d *TrustedDocuments) read() error {
	m, err := readManifest(d.config.Path, d.config.Check)
	if err != nil {
		return err
	}
	d.manifest.Store(m)
	d.config.Log.Info("trusted documents", "count", len(m.documents), "only", d.config.Only)
	if len(m.refused) > 0 {
		d.config.Log.Warn("trusted documents: some cannot be executed and were left out", "count", len(m.refused), "first", m.refused[:min(len(m.refused), refusedLogged)])
	}
	return nil
}

// Has reports whether a document is one of the manifest.
func (d *TrustedDocuments) Has(text string) bool {
	_, trusted := d.manifest.Load().texts[text]
	return trusted
}

// ExtensionName implements graphql.HandlerExtension.
func (*TrustedDocuments) ExtensionName() string { return "TrustedDocuments" }

// Validate implements graphql.HandlerExtension.
func (*TrustedDocuments) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters implements graphql.OperationParameterMutator. It puts the
// document in place of its id.
func (d *TrustedDocuments) MutateOperationParameters(ctx context.Context, request *graphql.RawParams) *gqlerror.Error {
	m := d.manifest.Load()
	id := idOf(request)
	text, known := m.documents[id]
	if id != "" && known {
		if request.Query != "" && request.Query != text {
			return refuse(models.CodeBadUserInput, "the document is not the one of its id")
		}
		request.Query = text
		delete(request.Extensions, extensionName)
		return nil
	}
	if !d.config.Only || d.config.Exempt(ctx) {
		return nil
	}
	if _, trusted := m.texts[request.Query]; trusted {
		return nil
	}
	if d.config.Always != nil && d.config.Always(request.Query) {
		return nil
	}
	return refuse(models.CodeForbidden, "this server executes the documents of its manifest only: send the id of one")
}

// idOf returns the id of a request's document; empty for none.
func idOf(request *graphql.RawParams) string {
	extension, _ := request.Extensions[extensionName].(map[string]any)
	id, _ := extension["sha256Hash"].(string)
	return strings.TrimPrefix(id, "sha256:")
}

// refuse returns an error with a code.
func refuse(code models.Code, message string) *gqlerror.Error {
	return &gqlerror.Error{
		Err: &models.Fault{Code: code, Message: message}, Message: message, Extensions: map[string]any{"code": string(code)},
	}
}
