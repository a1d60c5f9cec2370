package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// maxFileSize bounds what is read as a configuration file, or for one key.
const maxFileSize = 1 << 20

// file is a parsed configuration file. One that does not exist, or holds only
// comments, has a root of nil.
type file struct {
	path string
	text string     // UTF-8, with line ends as they are
	bom  bool       // it began with a byte order mark
	root *yaml.Node // the document's mapping
}

// fileValue is one known key found in the file.
type fileValue struct {
	value any // string, bool-like and number scalars as text, or []string
	line  int
}

// readFile reads path. A missing file is fine unless it must be there.
func readFile(path string, must bool) (*file, error) {
	data, err := keystore.ReadFile(path, maxFileSize)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return &file{path: path}, nil
	}
	if err == nil {
		err = distrusted(path)
	}
	if problem.KindOf(err) == problem.Usage {
		return nil, err
	}
	if err != nil {
		return nil, usage("cannot read the configuration file "+path, problem.Cause(err), "name another one with --config, or write one with: vers-fleet config init")
	}
	f := &file{path: path}
	f.text, f.bom = decode(data)
	return f, f.parse()
}

func (f *file) parse() error {
	var doc, more yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(f.text))
	if err := dec.Decode(&doc); err == nil && dec.Decode(&more) != io.EOF {
		return f.badLine(more.Line, "what follows --- would not be read")
	} else if err != nil && err != io.EOF {
		return usage("the configuration file "+f.path+" is not valid YAML", strings.TrimPrefix(err.Error(), "yaml: "), "correct that line; the format is shown by: vers-fleet help environment")
	}
	if len(doc.Content) == 0 {
		return nil
	}
	f.root = doc.Content[0]
	switch {
	case isNull(f.root):
		f.root = nil
	case f.root.Kind != yaml.MappingNode:
		return f.badLine(f.root.Line, "the file must hold keys and values, such as api_url: https://api.vers.ai")
	}
	return nil
}

// folder is what relative paths in the file count from.
func (f *file) folder() string { return filepath.Dir(f.path) }

// decode is text as editors save it: UTF-8 with or without a byte order mark,
// or, from Windows, UTF-16 with one.
func decode(data []byte) (text string, bom bool) {
	out, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), data)
	if err != nil {
		return string(data), false
	}
	return string(out), len(out) != len(data)
}

func (f *file) badLine(line int, why string) error {
	return usage(fmt.Sprintf("the configuration file %s is wrong in line %d", f.path, line), why, "correct that line, or see: vers-fleet help environment")
}

// profiles lists the profiles the file defines.
func (f *file) profiles() []string {
	profiles := child(f.root, "profiles")
	if profiles == nil || profiles.Kind != yaml.MappingNode {
		return nil
	}
	var names []string
	for i := 0; i+1 < len(profiles.Content); i += 2 {
		names = append(names, profiles.Content[i].Value)
	}
	return names
}

// values returns the known keys at the top level.
func (f *file) values(warn func(string)) (map[string]fileValue, error) {
	return f.collect(f.root, "", warn)
}

// profileValues returns the known keys below profiles.<name>.
func (f *file) profileValues(name string, warn func(string)) (map[string]fileValue, error) {
	profiles := child(f.root, "profiles")
	if profiles == nil {
		return nil, nil
	}
	if profiles.Kind != yaml.MappingNode {
		return nil, f.badLine(profiles.Line, "profiles must hold a name and its keys")
	}
	p := child(profiles, name)
	if p == nil || isNull(p) {
		return nil, nil
	}
	if p.Kind != yaml.MappingNode {
		return nil, f.badLine(p.Line, "a profile must hold keys and values")
	}
	return f.collect(p, "", warn)
}

// collect walks a mapping; prefix is the dotted name of where it hangs.
func (f *file) collect(m *yaml.Node, prefix string, warn func(string)) (map[string]fileValue, error) {
	values := map[string]fileValue{}
	if m == nil {
		return values, nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		name, node := prefix+m.Content[i].Value, deref(m.Content[i+1])
		if seen[name] {
			return nil, f.badLine(m.Content[i].Line, fmt.Sprintf("the key %s stands twice", shown(name)))
		}
		seen[name] = true
		key, unknown := Find(name)
		switch {
		case name == "profiles" && m == f.root:
		case (unknown == nil || isPrefix(name)) && isNull(node):
		case unknown == nil:
			v, err := scalarOrList(key, node)
			if err != nil {
				return nil, f.badLine(node.Line, key.Name+" "+err.Error())
			}
			values[name] = fileValue{v, node.Line}
		case isPrefix(name) && node.Kind == yaml.MappingNode:
			inner, err := f.collect(node, name+".", warn)
			if err != nil {
				return nil, err
			}
			maps.Copy(values, inner)
		default:
			warn(f.unknown(name, m.Content[i].Line))
		}
	}
	return values, nil
}

func (f *file) unknown(name string, line int) string {
	text := fmt.Sprintf("%s line %d: unknown key %s is ignored", f.path, line, shown(name))
	if near := nearest(name, keyNames()); near != "" {
		text += "; did you mean " + near + "?"
	}
	return text
}

// shown is a word of the file as it may stand in a message of one line.
func shown(word string) string { return strings.Trim(fmt.Sprintf("%q", word), `"`) }

func scalarOrList(k Key, n *yaml.Node) (any, error) {
	switch {
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Kind == yaml.SequenceNode && k.list():
		list := []string{}
		for _, item := range n.Content {
			if item = deref(item); item.Kind != yaml.ScalarNode {
				return nil, errors.New("must be a list of texts")
			}
			list = append(list, item.Value)
		}
		return list, nil
	case k.list():
		return nil, errors.New("must be a list")
	default:
		return nil, errors.New("must be a single value")
	}
}

// child returns the value of key in a mapping, or nil.
func child(m *yaml.Node, key string) *yaml.Node {
	if i := indexOf(m, key); i >= 0 {
		return deref(m.Content[i+1])
	}
	return nil
}

// indexOf is where key stands in the content of a mapping, or -1.
func indexOf(m *yaml.Node, key string) int {
	if m == nil || m.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return i
		}
	}
	return -1
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// isPrefix reports whether some key lies below name.
func isPrefix(name string) bool {
	for _, k := range keyNames() {
		if strings.HasPrefix(k, name+".") {
			return true
		}
	}
	return false
}
