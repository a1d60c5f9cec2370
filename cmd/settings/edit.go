package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Set checks a value and writes it into the configuration file at path, which
// need not exist: at the top or, if profile is not "", for that profile. An
// empty value removes the key. Everything else in the file stays as it is,
// comments included. Errors are of kind usage, or storage when the file cannot
// be written; none repeats a secret.
func Set(path, profile, name, value string) error {
	k, err := Find(name)
	if err != nil {
		return err
	}
	steps := strings.Split(k.Name, ".")
	if profile != "" && k.Name != "profile" {
		if _, err := profileName(profile); err != nil {
			return usage(fmt.Sprintf("%q is no profile name", profile), err.Error(), "")
		}
		steps = append([]string{"profiles", profile}, steps...)
	}
	var written any
	if value = strings.TrimSpace(value); value != "" {
		if written, err = k.written(value); err != nil {
			return usage(fmt.Sprintf("%s is wrong: %v", k.Name, err), "", "see: vers-fleet help environment")
		}
	}
	f, err := readFile(path, false)
	if err != nil {
		return err
	}
	text, err := f.with(steps, written)
	if err != nil {
		return err
	}
	return writeFile(path, text)
}

// with is the text of the file with one key set, or removed if value is nil.
// The key is changed in its own lines where the file is laid out in lines, and
// else, as in {a: b}, the file is written anew. What comes out is read again:
// no other value may have changed, as happens below an alias.
func (f *file) with(steps []string, value any) (string, error) {
	cannot := usage("cannot change "+strings.Join(steps, ".")+" in "+f.path, "it is written in a form that only a person can change, such as an alias", "edit the file")
	if strings.ContainsAny(strings.ReplaceAll(f.text, "\r\n", "\n"), "\r\u0085\u2028\u2029") {
		return "", cannot // YAML counts these as ends of lines, and editors do not
	}
	want := map[string]any{}
	if f.root != nil {
		if err := f.root.Decode(&want); err != nil {
			return "", f.badLine(f.root.Line, strings.TrimPrefix(err.Error(), "yaml: "))
		}
	}
	if !put(want, steps, value) {
		return "", f.badLine(f.root.Line, "keys were expected below "+steps[0])
	}
	for _, change := range []func([]string, any) (string, bool){f.spliced, f.encoded} {
		again := &file{path: f.path, text: f.text, bom: f.bom} // a change moves nodes about
		if err := again.parse(); err != nil {
			return "", err
		}
		f.root = again.root
		text, ok := change(steps, value)
		got := map[string]any{}
		if ok && yaml.Unmarshal([]byte(text), &got) == nil && reflect.DeepEqual(pruned(got), pruned(want)) {
			if f.bom {
				text = "\ufeff" + text
			}
			return text, nil
		}
	}
	return "", cannot
}

// put sets a value in decoded YAML; false says that something else is in the way.
func put(m map[string]any, steps []string, value any) bool {
	if len(steps) == 1 {
		if m[steps[0]] = value; value == nil {
			delete(m, steps[0])
		}
		return true
	}
	inner, ok := m[steps[0]].(map[string]any)
	if !ok && m[steps[0]] != nil {
		return false
	}
	if !ok {
		inner = map[string]any{}
		m[steps[0]] = inner
	}
	return put(inner, steps[1:], value)
}

// pruned is decoded YAML without what is empty, and with lists of one type.
func pruned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, inner := range v {
			if inner = pruned(inner); inner != nil {
				out[name] = inner
			}
		}
		if len(out) > 0 {
			return out
		}
		return nil
	case []string:
		out := []any{}
		for _, item := range v {
			out = append(out, item)
		}
		return out
	}
	return v
}

// spliced changes nothing but the lines of the entry that holds the key, or
// adds lines behind the last entry beside it.
func (f *file) spliced(steps []string, value any) (string, bool) {
	lines := strings.SplitAfter(f.text, "\n")
	p := place{m: f.root, from: len(lines), to: len(lines)}
	if f.root == nil {
		p.m = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	} else if !p.find(lines, steps) {
		return "", false
	}
	step := steps[p.depth]
	if !setAt(p.m, steps[p.depth:], value) {
		return "", false
	}
	entry := ""
	if i := indexOf(p.m, step); i >= 0 {
		entry = rendered(p.m.Content[i], p.m.Content[i+1], p.indent)
	}
	before := strings.Join(lines[:p.from], "")
	if before != "" && !strings.HasSuffix(before, "\n") && entry != "" {
		entry = "\n" + entry
	}
	if eol := "\r\n"; strings.Contains(f.text, eol) {
		entry = strings.ReplaceAll(entry, "\n", eol)
	}
	return before + entry + strings.Join(lines[p.to:], ""), true
}

// place is where an entry stands, or is to stand, in the text.
type place struct {
	m        *yaml.Node // the mapping that the entry belongs to
	depth    int        // the entry's key is this one of the steps
	from, to int        // its lines, counted from 0, to excluded
	indent   string
}

// find goes down the steps as far as there are mappings laid out in lines.
func (p *place) find(lines []string, steps []string) bool {
	for ; ; p.depth++ {
		if p.m.Style&yaml.FlowStyle != 0 || len(p.m.Content) == 0 {
			return false
		}
		first := p.m.Content[0]
		if p.indent = lines[first.Line-1][:min(first.Column-1, len(lines[first.Line-1]))]; strings.Trim(p.indent, " ") != "" {
			return false
		}
		i := indexOf(p.m, steps[p.depth])
		if i < 0 {
			last := p.m.Content[len(p.m.Content)-2].Line
			p.to = lastLine(lines, last, p.to)
			p.from = p.to
			return true
		}
		key, value := p.m.Content[i], p.m.Content[i+1]
		p.from = key.Line - 1
		if i+2 < len(p.m.Content) {
			p.to = p.m.Content[i+2].Line - 1
		}
		if p.depth+1 == len(steps) || value.Kind != yaml.MappingNode || value.Line == key.Line || len(value.Content) == 0 {
			p.to = lastLine(lines, key.Line, p.to)
			return true
		}
		p.m = value
	}
}

// lastLine goes back from line to over what does not belong to an entry that
// begins in line from: empty lines, comments and ends of documents.
func lastLine(lines []string, from, to int) int {
	for ; to > from; to-- {
		if t := strings.TrimSpace(lines[to-1]); t != "" && t[0] != '#' && t != "..." && t != "---" {
			break
		}
	}
	return to
}

// rendered is an entry as YAML. Comments before and after it stand elsewhere.
func rendered(key, value *yaml.Node, indent string) string {
	k := *key
	k.HeadComment, k.FootComment = "", ""
	for last := []*yaml.Node{value}; len(last) > 0; last = last[len(last)-1].Content {
		for _, n := range last[max(0, len(last)-2):] {
			n.FootComment = ""
		}
	}
	text := encode(&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{&k, value}})
	return indent + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+indent) + "\n"
}

func encode(n *yaml.Node) string {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(n), enc.Close()); err != nil {
		return "" // which is not what was wanted, so with refuses it
	}
	return out.String()
}

// encoded is the whole file, written anew.
func (f *file) encoded(steps []string, value any) (string, bool) {
	if f.root == nil {
		f.root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	ok := setAt(f.root, steps, value)
	text := encode(f.root)
	return text, ok && strings.Count(text, "#") >= strings.Count(f.text, "#") // no comment is lost
}

// setAt sets or removes the value at steps below m, making mappings as needed.
func setAt(m *yaml.Node, steps []string, value any) bool {
	at := indexOf(m, steps[0])
	switch {
	case m.Kind != yaml.MappingNode:
		return false
	case value == nil && at < 0:
		return true
	case value == nil && len(steps) == 1:
		m.Content = append(m.Content[:at:at], m.Content[at+2:]...)
		return true
	case at < 0:
		m.Content = append(m.Content, scalar(steps[0]), &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"})
		at = len(m.Content) - 2
	}
	if len(steps) == 1 {
		m.Content[at+1] = replaced(m.Content[at+1], value)
		return true
	}
	if isNull(m.Content[at+1]) {
		m.Content[at+1] = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	return setAt(m.Content[at+1], steps[1:], value)
}

// replaced is a value with the comments of the old one; items of a list that
// stay keep theirs.
func replaced(old *yaml.Node, value any) *yaml.Node {
	n := scalar(fmt.Sprint(value))
	switch v := value.(type) {
	case bool:
		n.Tag = "!!bool"
	case []string:
		n = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if old.Kind == yaml.SequenceNode {
			n.Style = old.Style
		}
		for _, text := range v {
			item := scalar(text)
			for _, o := range old.Content {
				if o.Kind == yaml.ScalarNode && o.Value == text {
					item = o
				}
			}
			n.Content = append(n.Content, item)
		}
	}
	n.LineComment, n.HeadComment, n.FootComment = old.LineComment, old.HeadComment, old.FootComment
	return n
}

func scalar(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// writeFile writes the file durably. The mode is 0600, for it may hold a key.
func writeFile(path, text string) error {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = keystore.WriteFile(path, []byte(text), 0o600)
	}
	if err == nil {
		return nil
	}
	folder := filepath.Dir(path)
	next := "check the disk and the permissions of " + folder
	if errors.Is(err, fs.ErrPermission) {
		next = "make " + folder + " writable, or name another file with --config"
	}
	return &problem.Error{
		Kind: problem.Storage, What: "cannot write the configuration file " + path, Why: problem.Cause(err),
		Next: next, Origin: problem.OriginLocal, Err: err,
	}
}
