package openapitest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3filter"
)

// checkBearer is the document's one security scheme.
func checkBearer(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if !strings.HasPrefix(in.RequestValidationInput.Request.Header.Get("Authorization"), "Bearer ") {
		return errors.New("no bearer token")
	}
	return nil
}

// unknownQuery refuses query parameters that the operation does not have. The
// document allows them, but one that the service ignores is a mistake here.
func unknownQuery(in *openapi3filter.RequestValidationInput) error {
	known := map[string]bool{}
	for _, p := range in.Route.Operation.Parameters {
		known[p.Value.Name] = p.Value.In == "query"
	}
	for name := range in.Request.URL.Query() {
		if !known[name] {
			return fmt.Errorf("%s: query parameter %q: %w", in.Request.URL.Path, name, ErrUndocumented)
		}
	}
	return nil
}

// repair moves parameters that are declared "in: path" but have no place in the
// path to the query, and declares those that the path has and the operation
// does not.
func repair(data []byte) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	paths, _ := doc["paths"].(map[string]any)
	for path, item := range paths {
		operations, _ := item.(map[string]any)
		for _, op := range operations {
			if op, ok := op.(map[string]any); ok && op["responses"] != nil {
				op["parameters"] = repairParameters(path, op["parameters"])
			}
		}
	}
	return json.Marshal(doc)
}

func repairParameters(path string, declared any) []any {
	params, _ := declared.([]any)
	have := map[string]bool{}
	for _, p := range params {
		p, ok := p.(map[string]any)
		if !ok {
			continue
		}
		name, _ := p["name"].(string)
		if p["in"] == "path" && !strings.Contains(path, "{"+name+"}") {
			p["in"], p["required"] = "query", false
		}
		have[name] = true
	}
	for part := range strings.SplitSeq(path, "/") {
		name := strings.Trim(part, "{}")
		if strings.HasPrefix(part, "{") && !have[name] {
			params = append(params, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	return params
}
