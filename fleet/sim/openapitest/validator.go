package openapitest

import (
	"bytes"
	"context"
	_ "embed" // the description
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
)

//go:embed vers-api.yaml
var description []byte

// prefix is where the published service puts all paths. It also exists without.
const prefix = "/api/v1"

// Validator holds messages against the description. It is safe for concurrent
// use.
type Validator struct {
	doc          *openapi3.T    // as written
	exact, roomy routers.Router // without and with fields that are not described
}

// New reads the description.
func New(t testing.TB) *Validator {
	t.Helper()
	v := &Validator{}
	var err error
	if v.doc, v.roomy, err = load(false); err == nil {
		_, v.exact, err = load(true)
	}
	if err != nil {
		t.Fatalf("vers-api.yaml: %v", err)
	}
	return v
}

// load resolves the merge keys of YAML, which the OpenAPI reader does not know.
func load(exact bool) (*openapi3.T, routers.Router, error) {
	var tree map[string]any
	if err := yaml.Unmarshal(description, &tree); err != nil {
		return nil, nil, err
	}
	if exact {
		forbidMore(tree)
	}
	data, err := json.Marshal(tree)
	if err != nil {
		return nil, nil, err
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(data)
	if err != nil {
		return nil, nil, err
	}
	if err := doc.Validate(loader.Context); err != nil {
		return nil, nil, err
	}
	router, err := gorillamux.NewRouter(doc)
	return doc, router, err
}

// forbidMore makes every schema with properties refuse others.
func forbidMore(node any) {
	switch node := node.(type) {
	case map[string]any:
		if _, ok := node["properties"].(map[string]any); ok {
			node["additionalProperties"] = false
		}
		for _, child := range node {
			forbidMore(child)
		}
	case []any:
		for _, child := range node {
			forbidMore(child)
		}
	}
}

// ValidateRequest holds a request, as sent or as received, against the
// description: path, parameters, key and body, without fields or parameters
// that are not described. The body stays readable.
func (v *Validator) ValidateRequest(r *http.Request) error {
	in, err := input(v.exact, r)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, p := range in.Route.Operation.Parameters {
		known[p.Value.Name] = p.Value.In == openapi3.ParameterInQuery
	}
	for name := range r.URL.Query() {
		if !known[name] {
			return fmt.Errorf("%s %s: query parameter %q is not described", r.Method, r.URL.Path, name)
		}
	}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	return nil
}

// ValidateResponse holds the answer to r against the description, which fields
// beyond it may have. The body stays readable.
func (v *Validator) ValidateResponse(r *http.Request, resp *http.Response) error {
	return validateResponse(v.roomy, r, resp)
}

func validateResponse(router routers.Router, r *http.Request, resp *http.Response) error {
	in, err := input(router, r)
	if err != nil {
		return err
	}
	body, err := peek(&resp.Body)
	if err != nil {
		return err
	}
	described := in.Route.Operation.Responses.Status(resp.StatusCode)
	if described == nil || len(described.Value.Content) == 0 && len(body) > 0 {
		return fmt.Errorf("%s %s: status %d with %d bytes is not described", r.Method, r.URL.Path, resp.StatusCode, len(body))
	}
	header := resp.Header.Clone()
	if resp.StatusCode >= 400 && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "text/plain") // live: errors in text have none
	}
	err = openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
	})
	if err != nil {
		return fmt.Errorf("%s %s: status %d: %w", r.Method, r.URL.Path, resp.StatusCode, err)
	}
	return nil
}

// input finds the operation of a request and copies what validation consumes.
func input(router routers.Router, r *http.Request) (*openapi3filter.RequestValidationInput, error) {
	body, err := peek(&r.Body)
	if err != nil {
		return nil, err
	}
	c := r.Clone(r.Context())
	c.Body = io.NopCloser(bytes.NewReader(body))
	c.URL = &url.URL{Path: strings.TrimPrefix(r.URL.Path, prefix), RawQuery: r.URL.RawQuery}
	route, params, err := router.FindRoute(c)
	if err != nil {
		return nil, fmt.Errorf("%s %s is not described", r.Method, r.URL.Path)
	}
	ids := openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(uuid.Validate))
	return &openapi3filter.RequestValidationInput{
		Request: c, PathParams: params, Route: route, Options: &openapi3filter.Options{
			AuthenticationFunc: checkBearer, MultiError: true, SchemaValidationOptions: []openapi3.SchemaValidationOption{ids},
		},
	}, nil
}

// checkBearer is the one security scheme.
func checkBearer(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if !strings.HasPrefix(in.RequestValidationInput.Request.Header.Get("Authorization"), "Bearer ") {
		return errors.New("no bearer token")
	}
	return nil
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
