package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// PrintLine writes v as one line of JSON to s.Out: a row of -o jsonl or an
// event of a command at work. Lines of several goroutines never mix.
func PrintLine(s *Streams, v any) error {
	s.answered.Store(true)
	b, err := encode(v, "", "")
	if err != nil {
		return err
	}
	_, err = s.Out.Write(append(b, '\n'))
	return err
}

// printValue writes v in one of the formats made from JSON.
func printValue(s *Streams, f Format, v any) error {
	s.answered.Store(true)
	switch f.kind {
	case yamlDoc:
		return printYAML(s.Out, v)
	case jqExpr, goTemplate:
		return printDerived(s, f, v)
	default:
		b, err := encode(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = s.Out.Write(append(b, '\n'))
		return err
	}
}

// encode is JSON as the documentation promises it: no HTML escaping, and what
// a terminal might act on (C1 controls, bidi, zero width) escaped, which JSON
// readers turn back into the same value.
func encode(v any, prefix, indent string) ([]byte, error) {
	b, err := marshal(v, prefix, indent)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the answer as JSON: %w", err)
	}
	return escapeHidden(b, surrogates), nil
}

// arrayBatch is how many items of an array are encoded at once, on each processor:
// all at once would take more memory than the items.
const arrayBatch = 256

// printArray writes items as one JSON array, as printValue would.
func printArray[T any](s *Streams, items []T) error {
	s.answered.Store(true)
	texts := make([][]byte, runtime.GOMAXPROCS(0))
	errs := make([]error, len(texts))
	before, after := "[\n  ", "[]\n"
	for len(items) > 0 {
		var wg sync.WaitGroup
		for i := range texts {
			batch := items[:min(len(items), arrayBatch)]
			items = items[len(batch):]
			first := before
			if len(batch) > 0 {
				before, after = ",\n  ", "\n]\n"
			}
			wg.Go(func() { texts[i], errs[i] = appendItems(texts[i][:0], first, batch) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for _, text := range texts {
			if _, err := s.Out.Write(text); err != nil {
				return err
			}
		}
	}
	return writeString(s.Out, after)
}

// appendItems encodes items of an array; before comes before the first.
func appendItems[T any](out []byte, before string, items []T) ([]byte, error) {
	for i := range items {
		b, err := encode(&items[i], "  ", "  ")
		if err != nil {
			return nil, err
		}
		out = append(append(out, before...), b...)
		before = ",\n  "
	}
	return out, nil
}

// marshal is the JSON form of v with its moments in whole seconds, as jq's
// fromdate reads no others.
func marshal(v any, prefix, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, indent)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return wholeSeconds(bytes.TrimRight(b.Bytes(), "\n")), nil
}

// wholeSeconds takes the fractions from the moments of a JSON text, in place: from
// the strings in RFC 3339 of fields called at, as_of, ..._at or ..._as_of. A quote
// inside of a string is escaped, so only a field looks like one.
func wholeSeconds(b []byte) []byte {
	out := b[:0]
	for {
		at := bytes.Index(b, []byte(`":`))
		if at < 0 {
			return append(out, b...)
		}
		field, rest := b[:at], bytes.TrimPrefix(b[at+2:], []byte(" "))
		keep := len(b) - len(rest)
		if seconds, fraction := moment(rest); fraction > 0 && isMoment(field) {
			out = append(out, b[:keep+seconds]...)
			b = b[keep+seconds+fraction:]
			continue
		}
		out = append(out, b[:keep]...)
		b = rest
	}
}

// isMoment tells whether text ends with the name of a field that holds a moment,
// but for its closing quote.
func isMoment(text []byte) bool {
	name := text[bytes.LastIndexByte(text, '"')+1:]
	if len(name) == len(text) {
		return false // there is no opening quote
	}
	for _, last := range []string{"at", "as_of"} {
		if stem, ok := bytes.CutSuffix(name, []byte(last)); ok {
			return len(stem) == 0 || stem[len(stem)-1] == '_' && len(bytes.Trim(stem, "abcdefghijklmnopqrstuvwxyz_")) == 0
		}
	}
	return false
}

// moment measures a quoted moment in RFC 3339 with a fraction of a second: how
// many bytes come before the fraction, and how many are it. 0 if it is none.
func moment(b []byte) (seconds, fraction int) {
	const form = `"0000-00-00T00:00:00.`
	if len(b) < len(form) {
		return 0, 0
	}
	for i := range len(form) {
		if digit := b[i] >= '0' && b[i] <= '9'; form[i] == '0' && !digit || form[i] != '0' && b[i] != form[i] {
			return 0, 0
		}
	}
	end := len(form)
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	if end == len(form) || !zone(b[end:]) {
		return 0, 0
	}
	return len(form) - 1, end - len(form) + 1
}

// zone tells whether b begins with an offset from UTC and the closing quote.
func zone(b []byte) bool {
	if bytes.HasPrefix(b, []byte(`Z"`)) {
		return true
	}
	const form = `+00:00"`
	if len(b) < len(form) || b[0] != '+' && b[0] != '-' {
		return false
	}
	for i := 1; i < len(form); i++ {
		if digit := b[i] >= '0' && b[i] <= '9'; form[i] == '0' && !digit || form[i] != '0' && b[i] != form[i] {
			return false
		}
	}
	return true
}

// escapeHidden escapes hidden runes beyond ASCII; they must stand inside
// quoted strings. Newlines between tokens are below 0x7f and stay. astral is
// how a rune beyond U+FFFF is written.
func escapeHidden(b []byte, astral func(rune) string) []byte {
	for plain := b; ; plain = plain[1:] {
		if len(plain) == 0 {
			return b
		}
		if plain[0] >= 0x7f {
			break
		}
	}
	out := make([]byte, 0, len(b)+16)
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r < 0x7f || !safe.Hidden(r):
			out = append(out, b[i:i+n]...)
		case r > 0xffff:
			out = append(out, astral(r)...)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
	}
	return out
}

// surrogates is how JSON writes a rune beyond U+FFFF.
func surrogates(r rune) string {
	high, low := utf16.EncodeRune(r)
	return fmt.Sprintf(`\u%04x\u%04x`, high, low)
}

// longEscape is how YAML writes it.
func longEscape(r rune) string { return fmt.Sprintf(`\U%08x`, r) }

// printDerived runs --jq or --template over the JSON value. Strings are
// printed raw, as jq -r does; on a terminal they are made harmless first.
func printDerived(s *Streams, f Format, v any) error {
	plain, err := toPlain(v)
	if err != nil {
		return err
	}
	var b strings.Builder
	if f.kind == goTemplate {
		err = f.tmpl.Execute(&b, plain)
		if err != nil {
			err = &FormatError{"--template", safe.Text(err.Error()), "look at the fields with -o json"}
		}
	} else {
		err = runJQ(&b, f, plain)
	}
	text := b.String()
	if s.OutTerminal() {
		text = safe.Text(text)
	}
	if werr := writeString(s.Out, text); werr != nil {
		return werr
	}
	return err
}

func runJQ(b *strings.Builder, f Format, plain any) error {
	iter := f.jq.Run(plain)
	for {
		v, ok := iter.Next()
		if !ok {
			return nil
		}
		switch v := v.(type) {
		case error:
			return &FormatError{"--jq", safe.Text(v.Error()), "look at the fields with -o json"}
		case string:
			b.WriteString(v + "\n")
		default:
			line, err := encode(v, "", "")
			if err != nil {
				return err
			}
			b.Write(append(line, '\n'))
		}
	}
}

// toPlain turns v into maps, slices and scalars by way of its JSON form.
func toPlain(v any) (any, error) {
	b, err := marshal(v, "", "")
	if err != nil {
		return nil, fmt.Errorf("cannot encode the answer as JSON: %w", err)
	}
	var plain any
	return plain, json.Unmarshal(b, &plain)
}

// printYAML writes the JSON form of v as YAML with its field order kept.
func printYAML(w io.Writer, v any) error {
	b, err := marshal(v, "", "")
	if err != nil {
		return fmt.Errorf("cannot encode the answer as YAML: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	node, err := yamlNode(dec)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(node); err != nil {
		return fmt.Errorf("cannot encode the answer as YAML: %w", err)
	}
	_, err = w.Write(escapeHidden(out.Bytes(), longEscape))
	return err
}

// yamlNode reads the next JSON value as a YAML node.
func yamlNode(dec *json.Decoder) (*yaml.Node, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if t == '{' {
			n = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		}
		for dec.More() {
			child, err := yamlNode(dec) // an object yields key, value, key, value
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err := dec.Token()
		return n, err
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t}
		if strings.IndexFunc(t, safe.Hidden) >= 0 {
			n.Style = yaml.DoubleQuotedStyle // the only one with escapes
		}
		return n, nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: t.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(t)}, nil
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
	}
}
