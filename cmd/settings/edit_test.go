package settings

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// What was not asked to change stays as it is: comments, empty lines, quotes,
// the ends of lines.
func TestSetKeepsTheRest(t *testing.T) {
	for _, c := range []struct{ name, profile, key, value, before, after string }{
		{"new file", "", "vm_domain", "b.example", "", "vm_domain: b.example\n"},
		{"comments only", "", "vm_domain", "b.example", "# one\n\n# two\n", "# one\n\n# two\nvm_domain: b.example\n"},
		{"no last newline", "", "retry.cap", "1s", "# head\nvm_domain: a.example", "# head\nvm_domain: a.example\nretry:\n  cap: 1s\n"},
		{"head, foot and line comments", "", "vm_domain", "b.example",
			"# head\n\n# about it\nvm_domain: 'a.example'   # line\n# foot\n\n\nssh: # s\n\n  strict: true\n# tail\n",
			"# head\n\n# about it\nvm_domain: b.example # line\n# foot\n\n\nssh: # s\n\n  strict: true\n# tail\n"},
		{"in the middle of a mapping", "", "retry.cap", "7s",
			"retry: # patience\n    base:   1s\n    # cap: 5s\n\n# next\nvm_domain: a.example\n",
			"retry: # patience\n    base:   1s\n    cap: 7s\n    # cap: 5s\n\n# next\nvm_domain: a.example\n"},
		{"CRLF", "", "vm_domain", "b.example", "# head\r\nvm_domain: a.example # x\r\n\r\n# tail\r\n", "# head\r\nvm_domain: b.example # x\r\n\r\n# tail\r\n"},
		{"CRLF, a list", "", "pull.paths", "/a,/b", "# head\r\nvm_domain: a.example\r\n", "# head\r\nvm_domain: a.example\r\npull:\r\n  paths:\r\n    - /a\r\n    - /b\r\n"},
		{"BOM", "", "vm_domain", "b.example", "\ufeffvm_domain: a.example\n# x\n", "\ufeffvm_domain: b.example\n# x\n"},
		{"items of a list", "", "pull.paths", "/a,/c,/b",
			"pull:\n  paths: # which\n    # first\n    - /a # aa\n    - /b # bb\n    # after\n",
			"pull:\n  paths: # which\n    # first\n    - /a # aa\n    - /c\n    - /b # bb\n    # after\n"},
		{"a list in brackets", "", "pull.paths", "/a,/c", "pull: {paths: [/a, /b]} # x\n# y\n", "pull: {paths: [/a, /c]} # x\n# y\n"},
		{"another profile", "lab", "vm_domain", "b.example",
			"profiles:\n  # the lab\n  lab:\n    vm_domain: a.example # l\n\n  # home\n  home:\n    vm_domain: h.example\n",
			"profiles:\n  # the lab\n  lab:\n    vm_domain: b.example # l\n\n  # home\n  home:\n    vm_domain: h.example\n"},
		{"a new profile", "new", "tls_verify", "off", "profiles:\n  lab:\n    vm_domain: a.example\n# x\n", "profiles:\n  lab:\n    vm_domain: a.example\n  new:\n    tls_verify: false\n# x\n"},
		{"removed", "", "vm_domain", "", "# head\nvm_domain: a.example\n# tail\nssh:\n  strict: true\n", "# head\n# tail\nssh:\n  strict: true\n"},
		{"the last of a mapping removed", "", "retry.cap", "", "retry:\n  # why\n  cap: 1s\nssh:\n  strict: true\n", "retry:\n  # why\nssh:\n  strict: true\n"},
		{"what is not there removed", "", "retry.cap", "", "# x\nssh:  {strict: true}\n", "# x\nssh:  {strict: true}\n"},
		{"text that looks like something else", "", "api_key", "0x1f", "ssh: {}\n", "ssh: {}\napi_key: \"0x1f\"\n"},
		{"all in braces", "", "vm_domain", "b.example", "{vm_domain: a.example, ssh: {strict: true}}\n", "{vm_domain: b.example, ssh: {strict: true}}\n"},
		{"text of several lines before", "", "ssh.strict", "yes", "api_key_command: |\n  echo 1\n  # no comment\n", "api_key_command: |\n  echo 1\n  # no comment\nssh:\n  strict: true\n"},
		{"after the end of the document", "", "vm_domain", "b.example", "---\nssh: {}\n...\n", "---\nssh: {}\nvm_domain: b.example\n...\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := Set(path, c.profile, c.key, c.value); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != c.after {
				t.Errorf("%v\ngot\n%s\nwant\n%s", err, got, c.after)
			}
		})
	}
}

// Where another value would change too, or one would be lost, nothing is done.
func TestSetRefuses(t *testing.T) {
	for name, before := range map[string]string{
		"an alias":         "profiles:\n  a: &x\n    vm_domain: a.example\n  lab: *x\n",
		"a list of keys":   "profiles:\n  lab:\n    - a\n",
		"a key twice":      "profiles:\n  lab:\n    vm_domain: a.example\n    vm_domain: b.example\n",
		"no YAML":          "profiles: [\n",
		"two documents":    "profiles:\n  lab:\n    vm_domain: a.example\n---\nvm_domain: b.example\n",
		"not keys at all":  "- a\n",
		"a text for a map": "profiles:\n  lab: some text\n",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Set(path, "lab", "vm_domain", "c.example")
		if got, rerr := os.ReadFile(path); rerr != nil || string(got) != before || problem.KindOf(err) != problem.Usage {
			t.Errorf("%s: %v, and the file is\n%s", name, err, got)
		}
	}
}

// Whatever the file is like: setting a value that the file does not hold
// changes that value and no other, and loses no comment.
func FuzzSet(f *testing.F) {
	for _, seed := range []string{
		"", "# only a comment\n", "a: b\n", "# h\nretry: # r\n  base: 1s # b\n  # foot\n\n\npull:\n  paths:\n  - /a # a\n  # c\n  - /b\nprofiles:\n  lab:\n    vm_domain: x\n",
		"{a: b, profiles: {lab: {}}}\r\n", "\ufeff# bom\nx: |\n  # text\n", "profiles: &p\n  lab: {api_url: x}\nother: *p\n", "---\nx: 1\n...\n", "? a\n: b\n",
		"x: \"a\n  # b\"\nprofiles:\n\n  lab:\n\n    retry:\n      cap: 5s\n\n", "x: 'it''s' # '\n", "x: >-\n  a\n\n  b\n# c\n",
	} {
		f.Add(seed, "1m")
	}
	f.Fuzz(func(t *testing.T, before, value string) {
		cf := &file{path: "config.yaml"}
		if cf.text, cf.bom = decode([]byte(before)); cf.parse() != nil {
			t.Skip()
		}
		wasEmpty, style := cf.root == nil, 0
		if !wasEmpty {
			style = int(cf.root.Style)
		}
		after, err := cf.with([]string{"profiles", "lab", "retry", "cap"}, value)
		if err != nil {
			t.Skip() // told, and nothing done
		}
		again := &file{path: "config.yaml"}
		again.text, _ = decode([]byte(after))
		if err := again.parse(); err != nil {
			t.Fatalf("%v in\n%s", err, after)
		}
		if got := child(child(child(child(again.root, "profiles"), "lab"), "retry"), "cap"); value != "" && (got == nil || got.Value != value) {
			t.Fatalf("%q is not what was set in\n%s", value, after)
		}
		if style != 0 {
			return // in braces it is written anew
		}
		lines := strings.FieldsFunc(after, func(r rune) bool { return r == '\n' || r == '\r' })
		for line := range strings.Lines(before) {
			line = strings.TrimRight(line, "\r\n")
			if strings.HasPrefix(line, "#") && !slices.Contains(lines, line) {
				t.Fatalf("%q is lost in\n%s", line, after)
			}
		}
	})
}
