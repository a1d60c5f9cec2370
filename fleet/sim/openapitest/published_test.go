package openapitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

// documentVariable names the variable that holds the path of the published
// document, if it is not found upward of this folder.
const documentVariable = "VERS_FLEET_OPENAPI"

// TestPublishedDocumentAgrees compares what is described here with what the
// platform publishes. Nothing may contradict it without an x-live that says
// why, and no x-live may be out of date.
func TestPublishedDocumentAgrees(t *testing.T) {
	path := findPublished(t)
	if path == "" {
		t.Skipf("no published OpenAPI document (shared/openapi/vers-openapi.json beside the checkout, or %s): vers-api.yaml is not compared with it", documentVariable)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := comparePublished(t, data)
	for _, problem := range c.problems {
		t.Error(problem)
	}
	for _, why := range slices.Sorted(maps.Keys(c.live)) {
		t.Logf("live, otherwise than published: %s (%d places, such as %s)", why, len(c.live[why]), slices.Min(c.live[why]))
	}
}

func findPublished(t *testing.T) string {
	if p := os.Getenv(documentVariable); p != "" {
		return p
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		p := filepath.Join(dir, "shared", "openapi", "vers-openapi.json")
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// comparison collects what differs, and where facts rest on the live service,
// by reason.
type comparison struct {
	problems []string
	live     map[string][]string
}

func comparePublished(t *testing.T, data []byte) *comparison {
	t.Helper()
	data, err := repair(data)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		t.Fatal(err)
	}
	c := &comparison{live: map[string][]string{}}
	for path, ours := range New(t).doc.Paths.Map() {
		item := theirs.Paths.Value(prefix + path)
		c.unlessLive(path, ours.Extensions, func(c *comparison) {
			if item == nil {
				c.differ(path, "is not published")
				return
			}
			for method, op := range ours.Operations() {
				c.operation(method+" "+path, ours, op, item, item.GetOperation(method))
			}
		})
	}
	return c
}

func (c *comparison) differ(at, format string, args ...any) {
	c.problems = append(c.problems, at+" "+fmt.Sprintf(format, args...))
}

// unlessLive compares, unless the fact rests on the live service: then the
// published document must not agree.
func (c *comparison) unlessLive(at string, extensions map[string]any, compare func(*comparison)) {
	why, live := extensions["x-live"].(string)
	if !live {
		compare(c)
		return
	}
	c.live[why] = append(c.live[why], at)
	apart := &comparison{live: map[string][]string{}}
	if compare(apart); len(apart.problems) == 0 {
		c.differ(at, "is published so by now, yet marked x-live")
	}
}

func (c *comparison) operation(at string, item *openapi3.PathItem, ours *openapi3.Operation, theirItem *openapi3.PathItem, theirs *openapi3.Operation) {
	if theirs == nil {
		c.differ(at, "is not published")
		return
	}
	published := slices.Concat(theirItem.Parameters, theirs.Parameters)
	for _, p := range slices.Concat(item.Parameters, ours.Parameters) {
		i := slices.IndexFunc(published, func(q *openapi3.ParameterRef) bool { return q.Value.Name == p.Value.Name && q.Value.In == p.Value.In })
		switch {
		case i < 0:
			c.differ(at, "parameter %s is not published", p.Value.Name)
		case published[i].Value.Required != p.Value.Required:
			c.differ(at, "parameter %s: required differs", p.Value.Name)
		default:
			c.schema(at+" parameter "+p.Value.Name, p.Value.Schema.Value, published[i].Value.Schema.Value, true)
		}
	}
	c.body(at, ours.RequestBody, theirs.RequestBody)
	for status, response := range ours.Responses.Map() {
		c.response(at+" "+status, response.Value, theirs.Responses.Value(status))
	}
}

func (c *comparison) body(at string, ours, theirs *openapi3.RequestBodyRef) {
	switch {
	case (ours == nil) != (theirs == nil):
		c.differ(at, "the request body stands on one side only")
	case ours == nil:
	case ours.Value.Required != theirs.Value.Required:
		c.differ(at, "request body: required differs")
	default:
		c.content(at+" request", ours.Value.Content, theirs.Value.Content, true)
	}
}

func (c *comparison) response(at string, ours *openapi3.Response, theirs *openapi3.ResponseRef) {
	c.unlessLive(at, ours.Extensions, func(c *comparison) {
		switch {
		case theirs == nil:
			c.differ(at, "is not published")
		case len(ours.Content) == 0 && len(theirs.Value.Content) > 0:
			c.differ(at, "has a body as published")
		default:
			c.content(at, ours.Content, theirs.Value.Content, false)
		}
	})
}

func (c *comparison) content(at string, ours, theirs openapi3.Content, request bool) {
	for contentType, media := range ours {
		c.unlessLive(at+" "+contentType, media.Extensions, func(c *comparison) {
			switch published := theirs[contentType]; {
			case published == nil:
				c.differ(at, "%s is not published", contentType)
			case media.Schema != nil:
				c.schema(at, media.Schema.Value, published.Schema.Value, request)
			}
		})
	}
}

// schema compares types. Ours may be narrower where theirs says nothing. What
// theirs requires of a request ours must send; what ours requires of an answer
// theirs must promise.
func (c *comparison) schema(at string, ours, theirs *openapi3.Schema, request bool) {
	if types(ours) != types(theirs) {
		c.differ(at, "is %s, published is %s", types(ours), types(theirs))
	}
	if theirs.Format != "" && ours.Format != theirs.Format {
		c.differ(at, "has the format %q, published is %q", ours.Format, theirs.Format)
	}
	if len(theirs.Enum) > 0 && fmt.Sprint(ours.Enum) != fmt.Sprint(theirs.Enum) {
		c.differ(at, "is one of %v, published are %v", ours.Enum, theirs.Enum)
	}
	if theirs.Min != nil && (ours.Min == nil || *ours.Min != *theirs.Min) {
		c.differ(at, "has another minimum than published")
	}
	must, may := ours.Required, theirs.Required
	if request {
		must, may = may, must
	}
	for _, name := range must {
		if !slices.Contains(may, name) {
			c.differ(at, "%s: required differs", name)
		}
	}
	for name, property := range ours.Properties {
		if published := theirs.Properties[name]; published != nil {
			c.schema(at+" "+name, property.Value, published.Value, request)
		} else {
			c.differ(at, "%s is not published", name)
		}
	}
	c.parts(at, ours, theirs, request)
}

// parts compares the schemas inside one.
func (c *comparison) parts(at string, ours, theirs *openapi3.Schema, request bool) {
	a, b := inner(ours), inner(theirs)
	if len(a) != len(b) {
		c.differ(at, "has %d schemas inside, published are %d", len(a), len(b))
		return
	}
	for i := range a {
		c.schema(at+"[]", a[i].Value, b[i].Value, request)
	}
}

func inner(s *openapi3.Schema) openapi3.SchemaRefs {
	out := slices.Clone(s.OneOf)
	for _, ref := range []*openapi3.SchemaRef{s.Items, s.AdditionalProperties.Schema} {
		if ref != nil {
			out = append(out, ref)
		}
	}
	return out
}

func types(s *openapi3.Schema) string {
	if s.Type == nil {
		return ""
	}
	return strings.Join(slices.Sorted(slices.Values(s.Type.Slice())), " or ")
}

// TestComparisonFindsContradictions: a document made of our own agrees, and each
// change to it is found.
func TestComparisonFindsContradictions(t *testing.T) {
	data := likePublished(t, true)
	if c := comparePublished(t, data); len(c.problems) > 0 || len(c.live) < 5 {
		t.Errorf("against itself: %q, live %v", c.problems, c.live)
	}
	for old, changed := range map[string]string{
		`/ssh_key"`: `/key"`, `"ssh_private_key"`: `"key"`, `"name":"keep_paused"`: `"name":"pause"`, `"patch"`: `"put"`, `"201"`: `"202"`,
		`"Paused","Running"`: `"Paused"`, `"format":"date-time"`: `"format":"date"`, `"application/json"`: `"text/json"`,
		`{"format":"int32","minimum":0,"type":"integer"}`: `{"type":"string"}`, `["vm_id","owner_id","created_at","state"]`: `["vm_id"]`,
		`"required":true},"responses"`: `"required":false},"responses"`,
	} {
		if !bytes.Contains(data, []byte(old)) {
			t.Fatalf("%s is not in the document", old)
		}
		if c := comparePublished(t, bytes.ReplaceAll(data, []byte(old), []byte(changed))); len(c.problems) == 0 {
			t.Errorf("%s in place of %s was not found", changed, old)
		}
	}
	if c := comparePublished(t, likePublished(t, false)); len(c.problems) < len(c.live) {
		t.Errorf("of facts that are published by now only these were found: %q", c.problems)
	}
}

// likePublished writes our description as the platform would, with or without
// the facts that rest on the live service.
func likePublished(t *testing.T, withoutLive bool) []byte {
	t.Helper()
	var tree map[string]any
	if err := yaml.Unmarshal(description, &tree); err != nil {
		t.Fatal(err)
	}
	if withoutLive {
		removeLive(tree["paths"], tree["components"].(map[string]any)["responses"].(map[string]any))
		removeLive(tree["components"], nil)
	}
	paths := map[string]any{}
	for path, item := range tree["paths"].(map[string]any) {
		paths[prefix+path] = item
	}
	tree["paths"] = paths
	data, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// removeLive removes what is marked x-live, and references to responses that
// are.
func removeLive(node any, responses map[string]any) {
	switch node := node.(type) {
	case map[string]any:
		for key, child := range node {
			if isLive(child, responses) {
				delete(node, key)
			} else {
				removeLive(child, responses)
			}
		}
	case []any:
		for _, child := range node {
			removeLive(child, responses)
		}
	}
}

func isLive(node any, responses map[string]any) bool {
	m, _ := node.(map[string]any)
	ref, _ := m["$ref"].(string)
	if target, ok := responses[strings.TrimPrefix(ref, "#/components/responses/")].(map[string]any); ok {
		m = target
	}
	return m["x-live"] != nil
}

// repair moves parameters that are declared "in: path" but have no place in the
// path to the query (limit and offset of /commits), and declares those that the
// path has and the operation does not.
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
