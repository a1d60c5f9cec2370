package cmd

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
)

// nodeClient is the folder with the client of MCP, which .ci/setup installs.
func nodeClient(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("left out: %v", err)
	}
	lock, err := os.ReadFile(filepath.Join("..", ".ci", "mcp-client", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("left out: %v", err)
	}
	folder := filepath.Join(cache, "vers-fleet", fmt.Sprintf("mcp-client-%x", sha256.Sum256(lock))[:len("mcp-client-")+12])
	if _, err := os.Stat(filepath.Join(folder, "whole")); err != nil {
		t.Skip("left out: .ci/mcp-client/install has not installed the npm package @modelcontextprotocol/sdk")
	}
	return folder
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
		c.Env = append(c.Env, "NODE_EXTRA_CA_CERTS="+filepath.Join(home, "cert.pem"))
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
		url, token := serveMCP(t, s, home, program)
		tell(t, s, home, url, token)
	})
	t.Run("https", func(t *testing.T) {
		s, home := simtest.Start(t, sim.Config{Still: true}), t.TempDir()
		cert, key := filepath.Join(home, "cert.pem"), filepath.Join(home, "key.pem")
		selfSigned(t, cert, key)
		url, token := serveMCP(t, s, home, program, "--tls-cert", cert, "--tls-key", key)
		if !strings.HasPrefix(url, "https://") {
			t.Fatal(url)
		}
		tell(t, s, home, url, token)
	})
}

// serveMCP starts the server at an address of this machine, and at the end of the
// test interrupts it.
func serveMCP(t *testing.T, s *sim.Sim, home, program string, args ...string) (url, token string) {
	t.Helper()
	token = strings.Repeat("0123456789abcdef", 2)
	file := filepath.Join(home, "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"mcp", "--root", filepath.Join(home, "root"), "--http", "127.0.0.1:0", "--token-file", file}, args...)
	server := onSim(t, s, home, program, args...)
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) } // when the test's context ends
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	url, _, _ = strings.Cut(strings.TrimPrefix(line, "serving MCP at "), ";")
	if err != nil || !strings.Contains(url, "://127.0.0.1:") {
		t.Errorf("%q, %v", line, err)
	}
	t.Cleanup(func() {
		_, _ = lines.WriteTo(&bytes.Buffer{})
		if err := server.Wait(); server.ProcessState.ExitCode() != exitInterrupted {
			t.Errorf("interrupted, it ends with %v", err)
		}
	})
	return url, token
}

// selfSigned writes a certificate of 127.0.0.1 that vouches for itself, and its key.
func selfSigned(t *testing.T, certFile, keyFile string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
