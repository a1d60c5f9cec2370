package clients

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Name is what the server is called in every client.
const Name = "vers-fleet"

// Entry is how a client starts the server.
type Entry struct {
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env,omitempty"`
}

// Client is a program with an AI agent.
type Client struct {
	Name string
	path func(Place) string
	form func(text string, e Entry) (string, error)
}

// Place is where a client's files are looked for.
type Place struct {
	Home   string // the user's home folder
	Config string // the folder of the user's configuration: ~/.config, or what the system has
}

// Here is this user's place. The error is of kind Usage.
func Here(home string) (Place, error) {
	config, err := os.UserConfigDir()
	if home == "" || err != nil {
		return Place{}, &problem.Error{Kind: problem.Usage, What: "there is no home folder", Next: "set HOME, or name the client's file with --file", Origin: problem.OriginLocal, Err: err}
	}
	return Place{home, config}, nil
}

// All are the clients that are known. Where each keeps its servers is told by its
// own documentation; see docs/mcp.md.
func All() []Client {
	mcpServers := func(text string, e Entry) (string, error) { return setJSON(text, []string{"mcpServers", Name}, e) }
	home := func(parts ...string) func(Place) string {
		return func(p Place) string { return filepath.Join(append([]string{p.Home}, parts...)...) }
	}
	return []Client{
		{"claude", home(".claude.json"), mcpServers},
		{"claude-desktop", func(p Place) string { return filepath.Join(p.Config, "Claude", "claude_desktop_config.json") }, mcpServers},
		{"codex", home(".codex", "config.toml"), setTOML},
		{"cursor", home(".cursor", "mcp.json"), mcpServers},
		{"gemini", home(".gemini", "settings.json"), mcpServers},
		{"vscode", func(p Place) string { return filepath.Join(p.Config, "Code", "User", "mcp.json") }, func(text string, e Entry) (string, error) {
			return setJSON(text, []string{"servers", Name}, typed{"stdio", e})
		}},
		{"windsurf", home(".codeium", "windsurf", "mcp_config.json"), mcpServers},
	}
}

// typed is an entry of VS Code, which says how the server is spoken to.
type typed struct {
	Type string `json:"type"`
	Entry
}

// Names are the clients' names.
func Names() []string {
	var names []string
	for _, c := range All() {
		names = append(names, c.Name)
	}
	return names
}

// Find is the client of a name. The error is of kind Usage.
func Find(name string) (Client, error) {
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
	}
	return Client{}, &problem.Error{Kind: problem.Usage, What: fmt.Sprintf("no client is called %q", name), Next: "use one of " + strings.Join(Names(), ", "), Origin: problem.OriginLocal}
}

// Change is what is to be written, and where.
type Change struct {
	Path   string
	Before string
	After  string
	New    bool // there is no such file yet
	mode   fs.FileMode
}

// Plan reads the client's file, or the one at path, and says what it will be. It
// changes nothing. Errors are of kind Usage, or Storage where it cannot be read.
func (c Client) Plan(p Place, path string, e Entry) (Change, error) {
	if path == "" {
		path = c.path(p)
	}
	ch := Change{Path: path, mode: 0o600}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		ch.New = true
	case err != nil:
		return ch, storage("read", path, err)
	default:
		if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" {
			ch.mode = info.Mode().Perm()
		}
	}
	ch.Before = string(data)
	if ch.After, err = c.form(ch.Before, e); err != nil {
		return ch, &problem.Error{Kind: problem.Usage, What: "cannot change " + path, Why: err.Error(), Next: "add the server by hand; see docs/mcp.md", Origin: problem.OriginLocal, Err: err}
	}
	return ch, nil
}

// Write writes what was planned, durably, unless somebody else has written since.
func (ch Change) Write() error {
	data, err := os.ReadFile(ch.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storage("read", ch.Path, err)
	}
	if string(data) != ch.Before {
		return &problem.Error{Kind: problem.Usage, What: "not written", Why: ch.Path + " was changed meanwhile", Next: "run the same command again", Origin: problem.OriginLocal}
	}
	err = os.MkdirAll(filepath.Dir(ch.Path), 0o700)
	if err == nil {
		err = keystore.WriteFile(ch.Path, []byte(ch.After), ch.mode)
	}
	if err != nil {
		return storage("write", ch.Path, err)
	}
	return nil
}

func storage(verb, path string, err error) error {
	return &problem.Error{Kind: problem.Storage, What: "cannot " + verb + " " + path, Why: problem.Cause(err), Origin: problem.OriginLocal, Err: err}
}
