package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// PrintLine writes v as one line of JSON to s.Out: a row of -o jsonl or an
// event of a command at work. Lines of several goroutines never mix.
func PrintLine(s *Streams, v any) error {
	s.answered.Store(true)
	b, err := encode(v, "")
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
		b, err := encode(v, "  ")
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
func encode(v any, indent string) ([]byte, error) {
	b, err := marshal(v, indent)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the answer as JSON: %w", err)
	}
	return escapeHidden(b, surrogates), nil
}

// marshal is the JSON form of v with its moments in whole seconds, as jq's
// fromdate reads no others.
func marshal(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	whole := bytes.TrimRight(b.Bytes(), "\n")
	if !bytes.Contains(whole, []byte(`_at": "`)) && !bytes.Contains(whole, []byte(`_at":"`)) && !bytes.Contains(whole, []byte(`"as_of":`)) {
		return whole, nil
	}
	// A quote inside of a string is escaped, so only a field looks like this.
	fraction := regexp.MustCompile(`("(?:[a-z_]+_at|as_of)": ?"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+(Z"|[+-]\d\d:\d\d")`)
	return fraction.ReplaceAll(whole, []byte("$1$2")), nil
}

// escapeHidden escapes hidden runes beyond ASCII; they must stand inside
// quoted strings. Newlines between tokens are below 0x7f and stay. astral is
// how a rune beyond U+FFFF is written.
func escapeHidden(b []byte, astral func(rune) string) []byte {
	if bytes.IndexFunc(b, func(r rune) bool { return r >= 0x7f && safe.Hidden(r) }) < 0 {
		return b
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
			line, err := encode(v, "")
			if err != nil {
				return err
			}
			b.Write(append(line, '\n'))
		}
	}
}

// toPlain turns v into maps, slices and scalars by way of its JSON form.
func toPlain(v any) (any, error) {
	b, err := marshal(v, "")
	if err != nil {
		return nil, fmt.Errorf("cannot encode the answer as JSON: %w", err)
	}
	var plain any
	return plain, json.Unmarshal(b, &plain)
}

// printYAML writes the JSON form of v as YAML with its field order kept.
func printYAML(w io.Writer, v any) error {
	b, err := marshal(v, "")
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
