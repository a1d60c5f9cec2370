package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/itchyny/gojq"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// Format is a checked choice of output format. The zero value is the table.
type Format struct {
	kind kind
	jq   *gojq.Code
	tmpl *template.Template
}

type kind int

const (
	table kind = iota
	wide
	jsonDoc
	jsonLines
	yamlDoc
	nameOnly
	jqExpr
	goTemplate
)

// FormatNames are the values of -o, in the order of the help text.
func FormatNames() []string { return []string{"table", "wide", "json", "jsonl", "yaml", "name"} }

// FormatError says which format option is wrong and what would be right.
type FormatError struct{ Option, Why, Next string }

func (e *FormatError) Error() string { return e.Option + ": " + e.Why }

// ParseFormat checks the values of -o, --jq and --template before any work
// starts. All empty is the table. --jq and --template imply JSON and exclude
// each other; with either, -o may only be json.
func ParseFormat(output, jq, tmpl string) (Format, error) {
	f := Format{}
	names := FormatNames()
	if output != "" {
		k := slices.Index(names, output)
		if k < 0 {
			return f, &FormatError{"-o", fmt.Sprintf("unknown output format %q", safe.Clean(output)),
				"use one of " + strings.Join(names, ", ")}
		}
		f.kind = kind(k)
	}
	if jq == "" && tmpl == "" {
		return f, nil
	}
	if jq != "" && tmpl != "" {
		return f, &FormatError{"--jq", "cannot be combined with --template", "give one of the two"}
	}
	if output != "" && f.kind != jsonDoc {
		return f, &FormatError{"-o", fmt.Sprintf("%s cannot be combined with --jq or --template", output),
			"leave -o out; both work on the JSON form"}
	}
	if jq != "" {
		return parseJQ(jq)
	}
	return parseTemplate(tmpl)
}

func parseJQ(expr string) (Format, error) {
	q, err := gojq.Parse(expr)
	if err != nil {
		return Format{}, &FormatError{"--jq", safe.Text(err.Error()), "see https://jqlang.github.io/jq/manual for the language"}
	}
	code, err := gojq.Compile(q) // no environment, no modules, no input
	if err != nil {
		return Format{}, &FormatError{"--jq", safe.Text(err.Error()), "see https://jqlang.github.io/jq/manual for the language"}
	}
	return Format{kind: jqExpr, jq: code}, nil
}

func parseTemplate(text string) (Format, error) {
	t, err := template.New("template").Option("missingkey=zero").Funcs(template.FuncMap{
		"json": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"join": func(sep string, v []any) string { return joinAny(sep, v) },
	}).Parse(text)
	if err != nil {
		return Format{}, &FormatError{"--template", safe.Text(err.Error()), "see https://pkg.go.dev/text/template for the language"}
	}
	return Format{kind: goTemplate, tmpl: t}, nil
}

// Machine reports whether the output is JSON or made from it. Errors are then
// rendered as JSON too.
func (f Format) Machine() bool {
	return f.kind != table && f.kind != wide && f.kind != nameOnly
}

// Lines reports whether the format is JSON lines, which a command may emit as
// events while it works.
func (f Format) Lines() bool { return f.kind == jsonLines }

// Table reports whether the format is one of the forms for people.
func (f Format) Table() bool { return f.kind == table || f.kind == wide }

// Wide reports whether wide columns are wanted.
func (f Format) Wide() bool { return f.kind == wide }

// IsFormatError reports whether err is about -o, --jq or --template, and
// returns it.
func IsFormatError(err error) (*FormatError, bool) {
	var fe *FormatError
	ok := errors.As(err, &fe)
	return fe, ok
}

func joinAny(sep string, v []any) string {
	parts := make([]string, len(v))
	for i, x := range v {
		parts[i] = fmt.Sprint(x)
	}
	return strings.Join(parts, sep)
}
