package persisted

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// extensionName is the member of a request's extensions.
const extensionName = "persistedQuery"

// version is the only version of the protocol.
const version json.Number = "1"

// Queries is automatic persisted queries as a gqlgen extension. It must be the first
// extension that reads the document. Make it with New.
type Queries struct {
	documents *Store
	caller    func(context.Context) string
}

var (
	_ graphql.HandlerExtension          = (*Queries)(nil)
	_ graphql.OperationParameterMutator = (*Queries)(nil)
	_ graphql.OperationInterceptor      = (*Queries)(nil)
)

// New returns Queries without a document. caller names the caller of a request, to
// which a document that it registers counts.
func New(caller func(context.Context) string) *Queries {
	return &Queries{documents: NewStore(), caller: caller}
}

// ExtensionName implements graphql.HandlerExtension.
func (*Queries) ExtensionName() string { return "PersistedQueries" }

// Validate implements graphql.HandlerExtension.
func (*Queries) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters implements graphql.OperationParameterMutator. It puts the
// document in place of its hash, and compares the two where a request has both.
func (q *Queries) MutateOperationParameters(ctx context.Context, request *graphql.RawParams) *gqlerror.Error {
	if request.Extensions[extensionName] == nil {
		return nil
	}
	hash, refusal := readHash(request.Extensions[extensionName])
	if refusal != nil {
		return refusal
	}
	if request.Query == "" {
		text, known := q.documents.Get(hash)
		if !known {
			return refuse(models.CodePersistedQueryNotFound, "PersistedQueryNotFound")
		}
		request.Query = text
		return nil
	}
	if Hash(request.Query) != hash {
		return refuse(models.CodeBadUserInput, "extensions.persistedQuery.sha256Hash is not the SHA-256 hash of the document")
	}
	graphql.GetOperationContext(ctx).Stats.SetExtension(extensionName, hash)
	return nil
}

// InterceptOperation implements graphql.OperationInterceptor. It registers the document
// of a request that is about to be executed.
func (q *Queries) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	operation := graphql.GetOperationContext(ctx)
	if hash, sent := operation.Stats.GetExtension(extensionName).(string); sent {
		q.documents.Add(q.caller(ctx), hash, operation.RawQuery)
	}
	return next(ctx)
}

// readHash reads the extension. An unknown version is "not supported", after which
// clients send whole documents.
func readHash(extension any) (hash string, refusal *gqlerror.Error) {
	members, _ := extension.(map[string]any)
	hash, _ = members["sha256Hash"].(string)
	hash = strings.ToLower(hash)
	number, numbered := members["version"].(json.Number)
	if numbered && number != version {
		return "", refuse(models.CodePersistedQueryNotSupported, "PersistedQueryNotSupported")
	}
	if raw, err := hex.DecodeString(hash); !numbered || err != nil || len(raw) != sha256.Size {
		return "", refuse(models.CodeBadUserInput, `extensions.persistedQuery must be {"version": 1, "sha256Hash": "64 hexadecimal digits"}`)
	}
	return hash, nil
}

// Hash is the SHA-256 hash of a document, as clients send it.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// refuse returns an error whose message and code clients compare.
func refuse(code models.Code, message string) *gqlerror.Error {
	return &gqlerror.Error{
		Err: &models.Fault{Code: code, Message: message}, Message: message, Extensions: map[string]any{"code": string(code)},
	}
}
