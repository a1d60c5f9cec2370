package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// EnvDocument names the variable that holds the path of the document, if it is
// not found upward of the test's folder.
const EnvDocument = "VERS_FLEET_OPENAPI"

// Prefix is where the document puts all paths. A request without it is looked
// up as if it had it, since the service also exists without.
const Prefix = "/api/v1"

// ErrUndocumented says that the document has no such path, method or status:
// there is nothing to hold the message against. The live service has some of
// these, for example GET /health and status 503.
var ErrUndocumented = errors.New("not in the OpenAPI document")

// Validator holds messages against the document. It is safe for concurrent use.
type Validator struct {
	router routers.Router
}

// New reads the document, and skips the test when there is none.
func New(t testing.TB) *Validator {
	t.Helper()
	path := find()
	if path == "" {
		t.Skipf("no OpenAPI document (shared/openapi/vers-openapi.json beside the checkout, or %s): requests and answers are not held against it", EnvDocument)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("OpenAPI document: %v", err)
	}
	v, err := Load(data)
	if err != nil {
		t.Fatalf("OpenAPI document %s: %v", path, err)
	}
	return v
}

// Load returns a validator for a document given as JSON.
func Load(data []byte) (*Validator, error) {
	data, err := repair(data)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // any host will do
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	return &Validator{router}, nil
}

// find looks for the document in the environment and upward of the test's
// folder.
func find() string {
	if p := os.Getenv(EnvDocument); p != "" {
		return p
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		p := filepath.Join(dir, "shared", "openapi", "vers-openapi.json")
		if _, err := os.Stat(p); err == nil {
			return p
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// ValidateRequest holds a request, as sent or as received, against the
// document. The body stays readable.
func (v *Validator) ValidateRequest(r *http.Request) error {
	in, err := v.input(r)
	if err != nil {
		return err
	}
	if err := unknownQuery(in); err != nil {
		return err
	}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	return nil
}

// ValidateResponse holds the answer to r against the document. The body stays
// readable. A status that the document does not have is ErrUndocumented.
func (v *Validator) ValidateResponse(r *http.Request, resp *http.Response) error {
	in, err := v.input(r)
	if err != nil {
		return err
	}
	documented := in.Route.Operation.Responses.Status(resp.StatusCode)
	if documented == nil {
		return fmt.Errorf("%s %s: status %d: %w", r.Method, r.URL.Path, resp.StatusCode, ErrUndocumented)
	}
	body, err := peek(&resp.Body)
	if err != nil {
		return err
	}
	err = openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
	})
	if err != nil {
		return fmt.Errorf("%s %s: status %d: %w", r.Method, r.URL.Path, resp.StatusCode, err)
	}
	return nil
}

// input finds the operation of a request and copies what validation consumes.
func (v *Validator) input(r *http.Request) (*openapi3filter.RequestValidationInput, error) {
	body, err := peek(&r.Body)
	if err != nil {
		return nil, err
	}
	c := r.Clone(r.Context())
	c.Body = io.NopCloser(bytes.NewReader(body))
	c.URL = &url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	if !strings.HasPrefix(c.URL.Path, Prefix+"/") {
		c.URL.Path = Prefix + c.URL.Path
	}
	route, params, err := v.router.FindRoute(c)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, ErrUndocumented)
	}
	return &openapi3filter.RequestValidationInput{
		Request: c, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: checkBearer, MultiError: true},
	}, nil
}

// peek reads a body and puts it back.
func peek(body *io.ReadCloser) ([]byte, error) {
	if *body == nil {
		return nil, nil
	}
	data, err := io.ReadAll(*body)
	if err != nil {
		return nil, err
	}
	*body = io.NopCloser(bytes.NewReader(data))
	return data, nil
}
