// Package client has the typed operations of onhand.graphql. genqlient writes client.go.
package client

//go:generate go tool genqlient ../genqlient.yaml

// OrderRefusal is an error of a payload: the code says what to do, the path names the input.
type OrderRefusal struct {
	Message string   `json:"message"`
	Path    []string `json:"path"`
	Code    string   `json:"code"`
}
