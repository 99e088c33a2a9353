package web

import (
	"crypto/rand"
	"fmt"
	"net/http"
)

const (
	playgroundPath  = "/playground"
	playgroundFiles = "/playground/assets/"
	boardFiles      = "/assets/"
	boardFolder     = "board/dist"
)

const (
	// playgroundPolicy allows what GraphiQL needs. Its style sheet has fonts and images
	// as data URLs. Its dialogs add a style element, which the nonce allows.
	playgroundPolicy = basePolicy + "; script-src 'self'; style-src 'self' 'nonce-%s'; font-src data:; img-src 'self' data:; connect-src 'self'%s"

	// boardPolicy also forbids scripts to write markup from text.
	boardPolicy = basePolicy + "; require-trusted-types-for 'script'; trusted-types 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
)

// playgroundPage is the data of the playground's template.
type playgroundPage struct {
	Files      map[string]asset
	Endpoint   string
	Operations []SampleOperation
	Nonce      string // new in each answer
}

// Playground serves GraphiQL for the GraphQL endpoint at the given path
// ("/graphql"), with the sample operations in tabs and subscriptions over
// graphql-transport-ws at the same path. Mount it at "/playground" and
// "/playground/".
//
// gqlgen's own GraphiQL page is not used, for three reasons: it cannot open tabs, it
// needs an inline script that the policy would have to allow, and it stores request
// headers, with a bearer token in them, in the browser.
func Playground(endpoint string) http.Handler {
	set := newAssets(playgroundFiles,
		"static/icon.svg",
		"static/playground.css",
		"static/playground.js",
		"third_party/graphiql.min.css",
		"third_party/graphiql.min.js",
		"third_party/react.production.min.js",
		"third_party/react-dom.production.min.js",
		"third_party/NOTICES.txt",
	)
	page, operations := parse("playground.html"), SampleOperations()
	return readOnly(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == playgroundPath || r.URL.Path == playgroundPath+"/" {
			nonce := rand.Text()
			writePage(w, http.StatusOK, fmt.Sprintf(playgroundPolicy, nonce, socketSources(r.Host)), render(page, playgroundPage{
				Files: set.byName, Endpoint: endpoint, Operations: operations, Nonce: nonce,
			}))
			return
		}
		set.ServeHTTP(w, r)
	})
}

// Board serves the live board at "/", its files below "/assets/", and a plain page
// with status 404 for every other path. Mount it at "/".
func Board() http.Handler {
	set := newAssets(boardFiles, "static/icon.svg", "third_party/NOTICES.board.txt")
	set.addFolder(boardFiles, boardFolder)
	page := render(parse("board.html"), struct{ Files map[string]asset }{set.byName})

	return readOnly(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			writePage(w, http.StatusOK, boardPolicy+socketSources(r.Host), page)
			return
		}
		set.ServeHTTP(w, r)
	})
}
