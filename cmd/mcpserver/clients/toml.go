package clients

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// table is the server's in Codex's configuration.
const table = "mcp_servers." + Name

// setTOML puts the server's table into the text of a TOML file, in place of the old
// one or at the end. Everything else stays as it is; so do settings of the user's
// own in tables below it.
func setTOML(text string, e Entry) (string, error) {
	before, after := map[string]any{}, map[string]any{}
	if err := toml.Unmarshal([]byte(text), &before); err != nil {
		return "", fmt.Errorf("it is no TOML: %w", err)
	}
	out := replaced(text, renderedTOML(e))
	if err := toml.Unmarshal([]byte(out), &after); err != nil {
		return "", errors.Join(errors.New("it is written in a form that only a person can change"), err)
	}
	got, ok := taken(after)
	command, _ := got["command"].(string)
	if _, had := taken(before); !ok && had || command != e.Command || !reflect.DeepEqual(before, after) {
		return "", errors.New("it is written in a form that only a person can change")
	}
	return out, nil
}

// taken removes the server's table from decoded TOML, and the tables that hold
// nothing else, and returns it.
func taken(all map[string]any) (map[string]any, bool) {
	servers, ok := all["mcp_servers"].(map[string]any)
	if !ok {
		return nil, false
	}
	own, ok := servers[Name].(map[string]any)
	if delete(servers, Name); len(servers) == 0 {
		delete(all, "mcp_servers")
	}
	return own, ok
}

// replaced is the text with the lines of the server's table, which go to the next
// header, or to its end, replaced.
func replaced(text, lines string) string {
	var out strings.Builder
	inside, done := false, false
	for line := range strings.Lines(text) {
		word := strings.TrimSpace(line)
		if header := strings.HasPrefix(word, "["); header && isTable(word) {
			inside = true
			if !done {
				out.WriteString(lines)
				done = true
			}
			continue
		} else if header || inside && strings.HasPrefix(word, "#") {
			inside = false
		}
		if !inside || word == "" {
			out.WriteString(line)
		}
	}
	if !done {
		if s := out.String(); s != "" && !strings.HasSuffix(s, "\n") {
			out.WriteString("\n")
		}
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		out.WriteString(lines)
	}
	return out.String()
}

// isTable reports whether a line is the header of the server's table or of its
// environment, which this program writes.
func isTable(line string) bool {
	header, _, _ := strings.Cut(line, "#")
	header = strings.NewReplacer(" ", "", "\t", "", `"`, "", "'", "").Replace(header)
	return header == "["+table+"]" || header == "["+table+".env]"
}

func renderedTOML(e Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\ncommand = %s\nargs = [", table, quoted(e.Command))
	for i, a := range e.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoted(a))
	}
	b.WriteString("]\n")
	if len(e.Env) > 0 {
		fmt.Fprintf(&b, "[%s.env]\n", table)
		for _, name := range slices.Sorted(maps.Keys(e.Env)) {
			fmt.Fprintf(&b, "%s = %s\n", name, quoted(e.Env[name]))
		}
	}
	return b.String()
}

// quoted is a basic string of TOML.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
