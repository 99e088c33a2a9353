package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"onhand/graph"
	"onhand/graph/federation"
	"onhand/graph/guard"
	"onhand/graph/tokens"
	"onhand/graph/trusted"
)

// Values of the settings of documents.
const (
	on         = "on"
	auto       = "auto"
	production = "production"
)

// gatewayKeyBytesMin is the length of the shortest key of a gateway.
const gatewayKeyBytesMin = 32

// DocumentSettings are what callers may send, and what they may know of the schema.
type DocumentSettings struct {
	TrustedDocuments     string `name:"trusted-documents" env:"TRUSTED_DOCUMENTS" placeholder:"PATH" help:"The file of a manifest of documents, which is read again when it changes." more:"[manifest](clients.md#trusted-documents)"`
	TrustedDocumentsOnly string `name:"trusted-documents-only" env:"TRUSTED_DOCUMENTS_ONLY" enum:"on,off" default:"off" help:"on: other documents are refused, but for the scope admin and gateways with GATEWAY_KEY."`
	GatewayKey           string `name:"gateway-key" env:"GATEWAY_KEY" placeholder:"TEXT" help:"A secret of 32 bytes at least, with TRUSTED_DOCUMENTS_ONLY. Requests with it in the header Onhand-Gateway-Key may send any document despite it: a gateway makes its own. It grants no scope. A flag is visible to other users of the machine: use the variable or the file." more:"[how](federation.md#trusted-documents)"`
	GatewayKeyFile       string `name:"gateway-key-file" env:"GATEWAY_KEY_FILE" placeholder:"PATH" help:"A file with the value of GATEWAY_KEY."`
	Profile              string `name:"profile" env:"PROFILE" enum:"auto,development,production" default:"auto" help:"production: introspection, suggestions, /schema.graphql and the playground are for the scope admin alone; development: for every caller; auto: production where tokens are configured."`
	Federation           string `name:"federation" env:"FEDERATION" enum:"subgraph,full,off" default:"subgraph" help:"What a gateway gets: subgraph, which leaves titles and lists of products to a catalogue; full, with these; off, nothing." more:"[guide](federation.md)"`
	Playground           string `name:"playground" env:"PLAYGROUND" enum:"auto,on,off" default:"auto" help:"on: the page is for every caller, in production too; off: for none; auto: as PROFILE says."`
}

// check refuses settings that can never work.
func (s *DocumentSettings) check() error {
	if s.TrustedDocumentsOnly == on && s.TrustedDocuments == "" {
		return errors.New("trusted-documents-only needs the manifest: name its file with trusted-documents")
	}
	if s.GatewayKey != "" && s.TrustedDocumentsOnly != on {
		return errors.New("gateway-key is for trusted-documents-only: set both")
	}
	if s.GatewayKey != "" && len(s.GatewayKey) < gatewayKeyBytesMin {
		return fmt.Errorf("gateway-key has %d bytes; it needs %d at least; %s", len(s.GatewayKey), gatewayKeyBytesMin, tokens.SecretHint)
	}
	if strings.ContainsFunc(s.GatewayKey, func(r rune) bool { return r < '!' || r > '~' }) {
		return fmt.Errorf("gateway-key must be visible ASCII without blanks and line breaks, as a header has it; %s", tokens.SecretHint)
	}
	return nil
}

// production reports whether the schema is for the scope admin alone.
func (s *DocumentSettings) production(tokensConfigured bool) bool {
	return s.Profile == production || s.Profile != "development" && tokensConfigured
}

// openTrusted reads the manifest, and again whenever it changes until it is closed; nil
// without one.
func (s *DocumentSettings) openTrusted(ctx context.Context, log *slog.Logger) (documents *trusted.TrustedDocuments, closeTrusted func(), err error) {
	if s.TrustedDocuments == "" {
		return nil, func() {}, nil
	}
	documents, err = trusted.Open(trusted.OpenConfig{
		Path: s.TrustedDocuments, Only: s.TrustedDocumentsOnly == on, Check: graph.CheckDocument, Log: log,
		Exempt: func(ctx context.Context) bool { return guard.Has(ctx, guard.Admin) || trusted.FromGateway(ctx) },
		Always: federation.IsServiceQuery,
	})
	if err != nil {
		return nil, nil, err
	}
	watching, stop := context.WithCancel(ctx)
	var watched sync.WaitGroup
	watched.Go(func() { documents.Watch(watching) })
	return documents, func() { stop(); watched.Wait() }, nil
}

// schemaPage serves a page that shows the schema: in production to the scope admin alone.
// For other callers there is no such page.
func (s *DocumentSettings) schemaPage(tokensConfigured bool, page http.Handler) http.Handler {
	if !s.production(tokensConfigured) {
		return page
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !guard.Has(r.Context(), guard.Admin) {
			http.NotFound(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
}

// playgroundPage serves the playground.
func (s *DocumentSettings) playgroundPage(tokensConfigured bool, page http.Handler) http.Handler {
	switch s.Playground {
	case on:
		return page
	case off:
		return http.NotFoundHandler()
	}
	return s.schemaPage(tokensConfigured, page)
}

// playgroundIsPublic reports whether every caller may see the playground. A browser that
// asks for no document is sent there then.
func (s *DocumentSettings) playgroundIsPublic(tokensConfigured bool) bool {
	return s.Playground == on || s.Playground != off && !s.production(tokensConfigured)
}

// ShowsPlayground reports whether every caller may see the playground.
func (s *Settings) ShowsPlayground() bool { return s.playgroundIsPublic(s.TokensConfigured()) }
