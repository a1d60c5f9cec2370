package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

func entry() Entry {
	return Entry{Command: "/bin/vers-fleet", Args: []string{"mcp", "--root", `/home/a "b"\c`}, Env: map[string]string{"VERS_FLEET_HOME": "/h"}}
}

// What stands in a client's file beside the server stays, byte for byte.
func TestSetJSON(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":         "",
		"only a comment":  "// mine\n",
		"empty object":    "{}",
		"other servers":   "{\n  // mine\n  \"mcpServers\": {\n    \"other\": {\"command\": \"x\"} // its\n  },\n  \"theme\": \"dark\" /* end */\n}\n",
		"no servers":      "{\"theme\": \"dark\", \"n\": 12345678901234567890}\n",
		"trailing commas": "{\n  \"mcpServers\": {\"other\": {\"args\": [1, 2,],}, /* , */ },\n}\n",
		"strange strings": `{"a": "// no comment \" /* } ,]", "mcpServers": {"x\"}": {}}}`,
		"empty servers":   "{\"mcpServers\": {} , \"z\": null}",
		"an old one":      "{\"mcpServers\": {\"a\": 1, \"vers-fleet\": {\"command\": \"/old\", \"args\": []}, \"b\": 2}}",
		"byte order mark": "\ufeff{\"a\": 1}\n",
	} {
		out, err := setJSON(text, []string{"mcpServers", Name}, entry())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got struct {
			MCPServers map[string]Entry `json:"mcpServers"`
		}
		if err := json.Unmarshal([]byte(strings.NewReplacer(`"a": 1`, `"a": {}`, `"b": 2`, `"b": {}`, "[1, 2 ]", "[]").Replace(bare(out))), &got); err != nil {
			t.Errorf("%s: %v in %s", name, err, out)
		}
		if e := got.MCPServers[Name]; e.Command != entry().Command || e.Args[2] != entry().Args[2] {
			t.Errorf("%s: the server is %+v in %s", name, e, out)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); strings.Contains(line, "mine") || strings.Contains(line, "dark") || strings.Contains(line, "no comment") && !strings.Contains(out, "no comment") {
				if !strings.Contains(out, strings.TrimSuffix(line, "}")) {
					t.Errorf("%s: %q is gone from %s", name, line, out)
				}
			}
		}
		if again, err := setJSON(out, []string{"mcpServers", Name}, entry()); err != nil || again != out {
			t.Errorf("%s: a second time it becomes %s (%v)", name, again, err)
		}
	}
	for _, text := range []string{"[]", "{", "nonsense", `{"mcpServers": []}`, `{"mcpServers": "x"}`, `{"mcpServers": {}} trailing`} {
		if out, err := setJSON(text, []string{"mcpServers", Name}, entry()); err == nil {
			t.Errorf("%s became %s", text, out)
		}
	}
}

func TestSetTOML(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":     "",
		"other":       "# mine\nmodel = \"x\"\n\n[mcp_servers.other]\ncommand = \"y\" # its\n",
		"no newline":  "model = \"x\"",
		"an old one":  "[mcp_servers.vers-fleet] # ours\ncommand = \"/old\"\nargs = []\n\n# about the next\n[profiles.z]\na = 1\n",
		"an old env":  "[mcp_servers.\"vers-fleet\"]\ncommand = \"/old\"\n[mcp_servers.vers-fleet.env]\nX = \"1\"\n\n[z]\n",
		"looks alike": "text = '''\n[mcp_servers.other]\n'''\n",
	} {
		out, err := setTOML(text, entry())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for line := range strings.Lines(text) {
			if (strings.Contains(line, "#") && !strings.Contains(line, "ours") || strings.Contains(line, "model")) && !strings.Contains(out, line) {
				t.Errorf("%s: %q is gone from %s", name, line, out)
			}
		}
		if strings.Contains(out, "/old") || strings.Count(out, "/bin/vers-fleet") != 1 {
			t.Errorf("%s: %s", name, out)
		}
		if again, err := setTOML(out, entry()); err != nil || again != out {
			t.Errorf("%s: a second time it becomes %s (%v)", name, again, err)
		}
	}
	for _, text := range []string{"x = ", "mcp_servers = 1", "[mcp_servers]\nvers-fleet = {command = \"/old\"}\n", "mcp_servers.vers-fleet.command = \"/old\"\n", "t = '''\n[mcp_servers.vers-fleet]\n'''\n"} {
		if out, err := setTOML(text, entry()); err == nil {
			t.Errorf("%q became %s", text, out)
		}
	}
}

// Every client's file is made where there is none, keeps its mode where there is
// one, and is left alone when somebody else writes meanwhile.
func TestClients(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	place := Place{home, filepath.Join(home, "config")}
	for _, c := range All() {
		ch, err := c.Plan(place, "", entry())
		if err != nil || !ch.New {
			t.Fatalf("%s: %v, %+v", c.Name, err, ch)
		}
		if err := ch.Write(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(ch.Path, 0o640); err != nil {
			t.Fatal(err)
		}
		other := entry()
		other.Command = "/other"
		if ch, err = c.Plan(place, "", other); err != nil || ch.New || ch.Write() != nil {
			t.Fatalf("%s: %v, %+v", c.Name, err, ch)
		}
		if info, err := os.Stat(ch.Path); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: %v, %v", c.Name, info.Mode(), err)
		}
		if err := os.WriteFile(ch.Path, []byte(ch.After+" "), 0o600); err != nil {
			t.Fatal(err)
		}
		ch.Before = ch.After
		if err := ch.Write(); problem.KindOf(err) != problem.Usage {
			t.Errorf("%s: what another wrote is overwritten: %v", c.Name, err)
		}
	}
	if _, err := Find("nobody"); problem.KindOf(err) != problem.Usage {
		t.Error(err)
	}
}

// FuzzSetJSON: whatever the file is, it is refused or stays what it was.
func FuzzSetJSON(f *testing.F) {
	for _, s := range []string{"", "{}", "{/*", "{\"a\":[1,],}", "//\n{}", "{\"mcpServers\":{\"vers-fleet\":1,},}", "\ufeff{}", "{\"\\\"\":{}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := setJSON(text, []string{"mcpServers", Name}, entry())
		if err != nil {
			return
		}
		if again, err := setJSON(out, []string{"mcpServers", Name}, entry()); err != nil || again != out {
			t.Errorf("%q becomes %q, then %q: %v", text, out, again, err)
		}
	})
}
