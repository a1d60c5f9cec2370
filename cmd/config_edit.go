package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// settingNode checks a value for key and returns it as YAML; nil for an empty
// value, which removes the key.
func settingNode(env *Env, key settingKey, value string) (*yaml.Node, error) {
	if value == "" {
		return nil, nil
	}
	l, err := loadLayers(env, func(string) {})
	if err != nil {
		// A file with a wrong profile can still be mended by this command.
		if key.name != "profile" {
			return nil, err
		}
		l = &layers{}
	}
	if key.name == "profile" {
		if !validProfile(value) {
			return nil, usageError("that is no profile name", "", "use letters, digits, dots, dashes and underscores")
		}
		return textNode(value), nil
	}
	l.set(key.name, value, origin{layerFlag, "the command line"})
	r := reader{l: l, paths: paths{env.Getenv}}
	node := textNode(value)
	switch key.typ {
	case asURL:
		r.url(key.name)
	case asHost:
		r.host(key.name)
	case asHostPort:
		r.hostPort(key.name)
	case asDuration:
		r.duration(key.name)
	case asIdle:
		r.idle(key.name)
	case asBool:
		node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(r.bool(key.name))}
	case asPath:
		if path := r.path(key.name); !strings.HasPrefix(value, "~/") {
			node = textNode(path)
		}
	case asList:
		node = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range r.list(key.name) {
			node.Content = append(node.Content, textNode(item))
		}
	case asSecret:
		if !validSecret(value) {
			r.fail(key.name, "it contains blanks or control characters")
		}
	}
	return node, r.err
}

func textNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// editConfig sets (or with a nil node removes) one key of the file, at the top
// level or below profiles.<profile>, and keeps everything else.
func editConfig(path, profile, key string, node *yaml.Node) error {
	cf, err := readConfigFile(path, false)
	if err != nil {
		return err
	}
	if cf.root == nil {
		cf.root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	steps := strings.Split(key, ".")
	if profile != "" {
		if !validProfile(profile) {
			return usageError("that is no profile name", "", "use letters, digits, dots, dashes and underscores")
		}
		steps = append([]string{"profiles", profile}, steps...)
	}
	if err := cf.setAt(cf.root, steps, node); err != nil {
		return err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(cf.root); err != nil {
		return fmt.Errorf("cannot encode the configuration: %w", err)
	}
	return writeConfig(path, out.Bytes())
}

// setAt walks steps below m, making mappings as needed.
func (cf *configFile) setAt(m *yaml.Node, steps []string, node *yaml.Node) error {
	if m.Kind != yaml.MappingNode {
		return cf.badLine(m.Line, "keys were expected here")
	}
	at := -1
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == steps[0] {
			at = i
		}
	}
	switch {
	case len(steps) == 1 && node == nil:
		if at >= 0 {
			m.Content = append(m.Content[:at], m.Content[at+2:]...)
		}
		return nil
	case len(steps) == 1 && at >= 0:
		old := m.Content[at+1]
		node.LineComment, node.HeadComment, node.FootComment = old.LineComment, old.HeadComment, old.FootComment
		m.Content[at+1] = node
		return nil
	case len(steps) == 1:
		m.Content = append(m.Content, textNode(steps[0]), node)
		return nil
	case at >= 0 && m.Content[at+1].Tag != "!!null":
		return cf.setAt(deref(m.Content[at+1]), steps[1:], node)
	case node == nil:
		return nil
	}
	inner := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if at >= 0 {
		m.Content[at+1] = inner
	} else {
		m.Content = append(m.Content, textNode(steps[0]), inner)
	}
	return cf.setAt(inner, steps[1:], node)
}

// writeConfig replaces the file in one step: temporary file beside it, flush,
// rename. The mode is 0600, for it may hold a key. A symbolic link is followed.
func writeConfig(path string, data []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return configStorageError(path, err)
	}
	tmp, err := os.CreateTemp(dir, ".config-*.tmp") // mode 0600
	if err != nil {
		return configStorageError(path, err)
	}
	defer os.Remove(tmp.Name()) // fails after the rename, as it should
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return configStorageError(path, err)
	}
	return nil
}

func configStorageError(path string, err error) error {
	next := "check the disk and the permissions of " + filepath.Dir(path)
	if errors.Is(err, fs.ErrPermission) {
		next = "make " + filepath.Dir(path) + " writable, or name another file with --config"
	}
	return &problem.Error{
		Kind: problem.Storage, What: "cannot write the configuration file " + path, Why: reason(err),
		Next: next, Origin: problem.OriginLocal, Err: err,
	}
}
