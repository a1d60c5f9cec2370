package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

// maxConfigSize bounds what is read as a configuration file.
const maxConfigSize = 1 << 20

// configFile is a parsed configuration file. A file that does not exist has a
// root of nil.
type configFile struct {
	path string
	root *yaml.Node // the document's mapping
}

// fileValue is one known key found in the file.
type fileValue struct {
	value any // string, bool-like and number scalars as text, or []string
	line  int
}

// readConfigFile reads path. A missing file is fine unless it was named
// explicitly.
func readConfigFile(path string, explicit bool) (*configFile, error) {
	cf := &configFile{path: path}
	data, err := readLimited(path)
	if errors.Is(err, fs.ErrNotExist) && !explicit {
		return cf, nil
	}
	if err != nil {
		return nil, usageError("cannot read the configuration file "+path, reason(err), "name another one with --config, or write one with: vers-fleet config init")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, usageError("the configuration file "+path+" is not valid YAML", strings.TrimPrefix(ui.Clean(err.Error()), "yaml: "), "correct that line; the format is shown by: vers-fleet help environment")
	}
	if len(doc.Content) == 0 {
		return cf, nil
	}
	cf.root = doc.Content[0]
	if cf.root.Kind != yaml.MappingNode {
		return nil, cf.badLine(cf.root.Line, "the file must hold keys and values, such as api_url: https://api.vers.ai")
	}
	return cf, nil
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err == nil && len(data) > maxConfigSize {
		return nil, errors.New("the file is larger than 1 MiB")
	}
	return data, err
}

// reason is the short cause of a file error, without the path said already.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

func (cf *configFile) badLine(line int, why string) error {
	return usageError(fmt.Sprintf("the configuration file %s is wrong in line %d", cf.path, line), why, "correct that line, or see: vers-fleet help environment")
}

// profileNames lists the profiles the file defines.
func (cf *configFile) profileNames() []string {
	profiles := child(cf.root, "profiles")
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
func (cf *configFile) values(warn func(string)) (map[string]fileValue, error) {
	return cf.collect(cf.root, "", warn)
}

// profileValues returns the known keys below profiles.<name>.
func (cf *configFile) profileValues(name string, warn func(string)) (map[string]fileValue, error) {
	profiles := child(cf.root, "profiles")
	if profiles == nil {
		return nil, nil
	}
	if profiles.Kind != yaml.MappingNode {
		return nil, cf.badLine(profiles.Line, "profiles must hold a name and its keys")
	}
	p := child(profiles, name)
	if p == nil || p.Tag == "!!null" {
		return nil, nil
	}
	if p.Kind != yaml.MappingNode {
		return nil, cf.badLine(p.Line, "a profile must hold keys and values")
	}
	return cf.collect(p, "", warn)
}

// collect walks a mapping; prefix is the dotted name of where it hangs.
func (cf *configFile) collect(m *yaml.Node, prefix string, warn func(string)) (map[string]fileValue, error) {
	found := map[string]fileValue{}
	if m == nil {
		return found, nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		name, node := prefix+m.Content[i].Value, deref(m.Content[i+1])
		if seen[name] {
			return nil, cf.badLine(m.Content[i].Line, "the key "+ui.Clean(name)+" stands twice")
		}
		seen[name] = true
		key, known := findKey(name)
		switch {
		case name == "profiles" && m == cf.root:
		case known && node.Tag == "!!null":
		case known:
			v, err := scalarOrList(key, node)
			if err != "" {
				return nil, cf.badLine(node.Line, key.name+" "+err)
			}
			found[name] = fileValue{v, node.Line}
		case isPrefix(name) && node.Kind == yaml.MappingNode:
			inner, err := cf.collect(node, name+".", warn)
			if err != nil {
				return nil, err
			}
			maps.Copy(found, inner)
		default:
			warn(cf.unknown(name, m.Content[i].Line))
		}
	}
	return found, nil
}

func (cf *configFile) unknown(name string, line int) string {
	text := fmt.Sprintf("%s line %d: unknown key %s is ignored", cf.path, line, ui.Clean(name))
	if n := nearest(name, keyNames()); n != "" {
		text += "; did you mean " + n + "?"
	}
	return text
}

func scalarOrList(k settingKey, n *yaml.Node) (value any, wrong string) {
	switch {
	case n.Kind == yaml.ScalarNode:
		return n.Value, ""
	case n.Kind == yaml.SequenceNode && k.typ == asList:
		list := []string{}
		for _, item := range n.Content {
			if item = deref(item); item.Kind != yaml.ScalarNode {
				return nil, "must be a list of texts"
			}
			list = append(list, item.Value)
		}
		return list, ""
	case k.typ == asList:
		return nil, "must be a list"
	default:
		return nil, "must be a single value"
	}
}

// child returns the value of key in a mapping, or nil.
func child(m *yaml.Node, key string) *yaml.Node {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return deref(m.Content[i+1])
		}
	}
	return nil
}

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
