package mcpserver

import (
	"github.com/google/jsonschema-go/jsonschema"
)

// schemaOf is the schema of a type as this server promises it: unlike the
// library's, lists are never null and, in answers, fields may be added. Inputs
// stay strict, so that a mistyped argument is refused rather than ignored.
func schemaOf[T any](strict bool) *jsonschema.Schema {
	s, err := jsonschema.For[T](nil)
	if err != nil {
		panic(err) // a type of this program's own
	}
	slim(s, strict, 1)
	return s
}

// slim adapts a schema. Fields deeper than depth are left to docs/json.md: the list
// of tools is part of every conversation, and is paid for by the word.
func slim(s *jsonschema.Schema, strict bool, depth int) {
	if len(s.Types) == 2 && s.Types[0] == "null" {
		s.Type, s.Types = s.Types[1], nil
	}
	if s.Type == "array" && s.Items.Maximum != nil {
		s.Type, s.Items = "string", nil // bytes, which JSON has as base64
	}
	if s.Type == "" {
		s.Type = "object"
	}
	if s.Type == "object" && !strict {
		s.AdditionalProperties = nil
	}
	if depth == 0 {
		s.Properties, s.Required, s.PropertyOrder, s.AdditionalProperties = nil, nil, nil, nil
	}
	for _, p := range s.Properties {
		slim(p, strict, depth-1)
	}
	if s.Items != nil {
		slim(s.Items, strict, depth-1)
	}
}

// common are the fields of every answer that a program goes by; file and untrusted
// are told in the instructions, once for all tools.
func common() map[string]*jsonschema.Schema {
	return map[string]*jsonschema.Schema{
		"source":      {Type: "string"},
		"as_of":       {Type: "string"},
		"truncated":   {Type: "boolean"},
		"next_offset": {Type: "integer"},
		"error":       {Type: "object"},
	}
}
