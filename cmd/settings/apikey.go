package settings

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// keyCommandTimeout bounds api_key_command; it may ask a person to touch a
// token or type a PIN.
const keyCommandTimeout = time.Minute

// APIKey finds the API key: environment, configuration (`api_key`, then
// `api_key_command`), then the files of other clients, which belong to the
// default profile. It is called only when the API is. Errors are of kind auth.
func (s *Settings) APIKey(ctx context.Context) (string, error) {
	key, command, from := s.findKey()
	if command != "" {
		var err error
		if key, err = runKeyCommand(ctx, command, from, s.source.Stderr); err != nil {
			return "", err
		}
	}
	if key == "" {
		return "", authError("no API key", "none is set for profile "+s.Profile,
			"set VERS_API_KEY, or have it asked for and kept: vers-fleet config init", nil)
	}
	if _, err := noBlanks(key); err != nil {
		return "", authError("the API key cannot be used", err.Error()+"; it comes from "+from, "correct it there", nil)
	}
	return key, nil
}

// findKey is the API key or the command that prints it, and where that comes
// from. All are "" when there is neither.
func (s *Settings) findKey() (key, command, from string) {
	key, keyFrom := s.layers.text("api_key")
	command, commandFrom := s.layers.text("api_key_command")
	switch {
	case key != "" && (command == "" || keyFrom.layer >= commandFrom.layer):
		return key, "", keyFrom.text
	case command != "":
		return "", command, "api_key_command of " + commandFrom.text
	case s.Profile == "default":
		key, from = s.foreignKey()
	}
	return key, "", from
}

// KeyByCommand reports whether a command of the user prints the API key.
func (s *Settings) KeyByCommand() bool {
	_, command, _ := s.findKey()
	return command != ""
}

// shownAPIKey is what may be shown of the API key, and where that comes from; it
// runs no command.
func (s *Settings) shownAPIKey() (shown, from string) {
	switch key, _, from := s.findKey(); {
	case from == "":
		return "", NotSet
	case key == "":
		return "", from
	default:
		return shownKey(key), from
	}
}

// RegistryToken is the bearer token for the registry, "" when none is set.
// Errors are of kind auth.
func (s *Settings) RegistryToken(context.Context) (string, error) {
	token, from := s.layers.text("registry.token")
	if _, err := noBlanks(token); err != nil {
		return "", authError("registry.token cannot be used", err.Error()+"; it comes from "+from.text, "correct it there", nil)
	}
	return token, nil
}

// runKeyCommand runs the command through the shell, as git and age do with
// their helpers; the text is the user's own. Its output never appears in an
// error.
func runKeyCommand(ctx context.Context, command, from string, stderr io.Writer) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, keyCommandTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-c", command)
	if runtime.GOOS == "windows" {
		c = exec.CommandContext(ctx, "cmd", "/c", command)
	}
	var out limitedBuffer
	c.Stdout, c.Stderr = &out, stderr
	c.WaitDelay = time.Second // a grandchild that keeps the pipe open does not hold us up
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return "", keyCommandError(from, fmt.Sprintf("it did not end within %v", keyCommandTimeout), err)
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay): // it ended well, a child of it lives on
	case errors.As(err, &exit):
		return "", keyCommandError(from, "it ended with "+exit.String(), err)
	case err != nil:
		return "", keyCommandError(from, "it could not be run", err)
	}
	key := strings.TrimSpace(out.String())
	if key == "" {
		return "", keyCommandError(from, "it printed nothing", nil)
	}
	return key, nil
}

func keyCommandError(from, why string, err error) error {
	return authError("api_key_command failed", why+"; it comes from "+strings.TrimPrefix(from, "api_key_command of "),
		"run it by hand; it must print the API key and nothing else on stdout", err)
}

func authError(what, why, next string, err error) error {
	return &problem.Error{Kind: problem.Auth, What: what, Why: why, Next: next, Origin: problem.OriginLocal, Err: err}
}

// foreignKey looks for a key that other clients of the platform keep.
func (s *Settings) foreignKey() (key, from string) {
	home := UserHome()
	if home == "" {
		return "", ""
	}
	for _, f := range []struct {
		path   string
		fields [][]string
	}{
		{filepath.Join(home, ".versrc"), [][]string{{"apiKey"}}},
		{filepath.Join(agentHome(home), "keys.json"), [][]string{{"keys", "VERS_API_KEY"}}},
		{filepath.Join(home, ".vers", "keys.json"), [][]string{{"keys", "VERS_API_KEY"}}},
		{filepath.Join(home, ".vers", "config.json"), [][]string{{"api_key"}, {"versApiKey"}}},
	} {
		data, err := keystore.ReadFile(f.path, maxFileSize)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var doc any
		if err == nil {
			text, _ := decode(data)
			err = json.Unmarshal([]byte(text), &doc)
		}
		if err != nil {
			s.source.Warn(fmt.Sprintf("%s is passed over: %s", f.path, unreadable(err)))
			continue
		}
		for _, field := range f.fields {
			if key := strings.TrimSpace(dig(doc, field)); key != "" {
				return key, f.path
			}
		}
	}
	return "", ""
}

// agentHome is the state folder of the agent extension: $VERS_HOME, else vers
// beside $PI_CODING_AGENT_DIR, which is ~/.pi/agent unless set
// (docs/platform.md).
func agentHome(home string) string {
	agent := os.Getenv("PI_CODING_AGENT_DIR")
	switch vers := os.Getenv("VERS_HOME"); {
	case filepath.IsAbs(vers):
		return vers
	case filepath.IsAbs(agent):
		return filepath.Join(agent, "..", "vers")
	}
	return filepath.Join(home, ".pi", "vers")
}

// unreadable names the trouble with a file that may hold a secret, without
// any of its content.
func unreadable(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return "it is not valid JSON"
}

func dig(doc any, field []string) string {
	for _, name := range field {
		m, _ := doc.(map[string]any)
		doc = m[name]
	}
	text, _ := doc.(string)
	return text
}

// shownKey is the part of an API key that may be shown: the owner's id, which
// is its first 36 characters.
func shownKey(key string) string {
	const owner = 36
	if len(key) > owner && strings.Count(key[:owner], "-") == 4 && strings.Trim(key[:owner], "0123456789abcdef-") == "" {
		return key[:owner] + "…"
	}
	return "(set)"
}

// limitedBuffer keeps the first 64 KiB; a key is far shorter.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := 64<<10 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
