package cmd

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
)

// nodeClient is the folder with the client of MCP, which .ci/setup installs.
func nodeClient(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("left out: %v", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("left out: %v", err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "vers-fleet", "mcp-sdk-*", "whole"))
	if len(found) == 0 {
		t.Skip("left out: .ci/mcp-client has not installed the npm package @modelcontextprotocol/sdk")
	}
	return filepath.Dir(found[len(found)-1])
}

// onSim is a command with the environment of a simulated platform, and a home of
// its own.
func onSim(t *testing.T, s *sim.Sim, home, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Env = append(append(os.Environ(), s.Env()...), "HOME="+home, "USERPROFILE="+home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "VERS_FLEET_HOME="+filepath.Join(home, "state"), "VERS_FLEET_SSH_SHARE=off", "GORACE=atexit_sleep_ms=10")
	return c
}

// programFile is the test's own binary under the program's name.
func programFile(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "vers-fleet")
	if err := os.Symlink(exe, link); err != nil {
		t.Skip(err)
	}
	return link
}

// The story of the report, told by the client that most agents have, with the API
// dead from the second call on: the images are home.
func TestMCPStory(t *testing.T) {
	t.Parallel()
	long(t)
	packages, program := nodeClient(t), programFile(t)
	tell := func(t *testing.T, s *sim.Sim, home string, extra ...string) {
		t.Helper()
		root := filepath.Join(home, "root")
		c := onSim(t, s, home, "node", append([]string{filepath.Join("testdata", "mcp", "story.mjs"), packages, program, root}, extra...)...)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		dest := strings.TrimSpace(string(out))
		want := filepath.Join(s.VM(sim.MarketingID).Root(), "root", "workspace", "images")
		if n, err := sameTree(want, filepath.Join(dest, "workspace", "images")); err != nil || n == 0 {
			t.Errorf("%d images compared: %v", n, err)
		}
	}
	t.Run("stdio", func(t *testing.T) {
		tell(t, simtest.Start(t, sim.Config{Still: true}), t.TempDir())
	})
	t.Run("http", func(t *testing.T) {
		s, home := simtest.Start(t, sim.Config{Still: true}), t.TempDir()
		token := strings.Repeat("0123456789abcdef", 2)
		file := filepath.Join(home, "token")
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		server := onSim(t, s, home, program, "mcp", "--root", filepath.Join(home, "root"), "--http", "127.0.0.1:0", "--token-file", file)
		server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
		stderr, err := server.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stderr)
		line, err := lines.ReadString('\n')
		url, _, _ := strings.Cut(strings.TrimPrefix(line, "serving MCP at "), ";")
		if err != nil || !strings.HasPrefix(url, "http://127.0.0.1:") {
			t.Fatalf("%q, %v", line, err)
		}
		tell(t, s, home, url, token)
		if err := server.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_, _ = lines.WriteTo(&bytes.Buffer{})
		if err := server.Wait(); server.ProcessState.ExitCode() != exitInterrupted {
			t.Errorf("interrupted, it ends with %v", err)
		}
	})
}
