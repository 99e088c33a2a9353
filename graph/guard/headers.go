package guard

import (
	"errors"
	"net/http"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// HeaderWriter is an error that says more in the headers of its answer.
type HeaderWriter interface {
	error
	WriteHeaders(header http.Header)
}

// WriteHeaders writes what the errors of a refused request have to say in headers.
func WriteHeaders(header http.Header, errs gqlerror.List) {
	for _, err := range errs {
		if w, ok := errors.AsType[HeaderWriter](err); ok {
			w.WriteHeaders(header)
		}
	}
}
