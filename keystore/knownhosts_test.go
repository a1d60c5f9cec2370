package keystore

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func readKnownHosts(t *testing.T, s *Store) string {
	t.Helper()
	data, err := os.ReadFile(s.KnownHostsPath())
	must(t, err)
	return string(data)
}

func TestKnownHostsFollowTheRecords(t *testing.T) {
	s := newTest(t)
	a, b := testID(1), testID(2)
	line := func(id, host string, names ...string) string {
		return strings.Join(append(names, ""), ",")[:max(len(strings.Join(names, ",")), 0)] + " " + testHostKey(host) + " " + id + "\n"
	}
	must(t, s.PinHostKey(a, testHostKey("a")+" root@vm", false, []string{a + ".vm.vers.sh"}))
	must(t, s.PinHostKey(b, testHostKey("shared"), true, nil))
	want := line(a, "a", a+".vm.vers.sh") + line(b, "shared", b)
	if got := readKnownHosts(t, s); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	own := "example.org " + testHostKey("mine") + " a person's comment\n"
	must(t, os.WriteFile(s.KnownHostsPath(), []byte(want+own+"half a li"), 0o600))
	must(t, s.PinHostKey(a, testHostKey("a"), true, []string{"marketing"}))
	want = line(b, "shared", b) + own + line(a, "a", a+".vm.vers.sh", "marketing")
	if got := readKnownHosts(t, s); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	must(t, s.Remove(b))
	must(t, os.Remove(s.KnownHostsPath()))
	findings, err := s.Check()
	must(t, err)
	if !hasFinding(findings, "", "known_hosts lacked") {
		t.Fatalf("findings %+v", findings)
	}
	if got := readKnownHosts(t, s); got != line(a, "a", a+".vm.vers.sh", "marketing") {
		t.Fatalf("rebuilt %q", got)
	}
	must(t, s.Remove(a))
	if got := readKnownHosts(t, s); got != "" {
		t.Fatalf("after removal %q", got)
	}
}

func TestKnownHostsAreReadByOpenSSH(t *testing.T) {
	keygen := needTool(t, "ssh-keygen")
	s := newTest(t)
	must(t, s.PinHostKey(testID(1), testHostKey("a"), true, []string{testID(1) + ".vm.vers.sh"}))
	mustPut(t, s, testID(1), testPEM("a"))
	out, err := exec.Command(keygen, "-F", testID(1)+".vm.vers.sh", "-f", s.KnownHostsPath()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), testHostKey("a")) {
		t.Fatalf("ssh-keygen -F: %v %s", err, out)
	}
	out, err = exec.Command(keygen, "-y", "-f", s.KeyPath(testID(1))).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), testPublic(t, testPEM("a"))) {
		t.Fatalf("ssh-keygen -y: %v %s", err, out)
	}
}

func TestHostileHostKeys(t *testing.T) {
	s := newTest(t)
	for _, key := range []string{"", "ssh-ed25519", "ssh-ed25519 AAAA\n* ssh-rsa BBBB", "@cert-authority * ssh-rsa AA!A", "a b\x00"} {
		wantKind(t, s.PinHostKey(testID(1), key, true, nil), KindInvalid)
	}
	for _, name := range []string{"", "*", "a,b", "a b", "!x", "-x", "a\nb"} {
		wantKind(t, s.PinHostKey(testID(1), testHostKey("a"), true, []string{name}), KindInvalid)
	}
	if ids, _ := s.IDs(); len(ids) != 0 {
		t.Fatal("something was recorded")
	}
}

func TestManyPinsAreCheap(t *testing.T) {
	s := newTest(t)
	n := torture(50, 10000)
	for i := range n {
		must(t, s.PinHostKey(testID(i), testHostKey("shared"), false, nil))
	}
	if got := strings.Count(readKnownHosts(t, s), "\n"); got != n {
		t.Fatalf("%d lines, want %d", got, n)
	}
}

func TestExportSSH(t *testing.T) {
	s := newTest(t)
	fleetOf(t, s, 2)
	dir := filepath.Join(t.TempDir(), "out")
	render := func(_ string, hosts []SSHHost) ([]byte, error) {
		return fmt.Appendf(nil, "%d hosts\n", len(hosts)), nil
	}
	for n := 2; n > 0; n-- { // the second time one VM is gone
		hosts, findings, err := s.ExportSSH(t.Context(), dir, render)
		if err != nil || len(findings) > 0 || len(hosts) != n {
			t.Fatalf("%d hosts, %v, %v", len(hosts), findings, err)
		}
		entries, err := os.ReadDir(dir)
		must(t, err)
		if len(entries) != n+3 {
			t.Fatalf("files %v", entries)
		}
		for _, e := range entries {
			info, err := e.Info()
			must(t, err)
			if runtimeChecksModes && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", e.Name(), info.Mode())
			}
		}
		config, err := os.ReadFile(filepath.Join(dir, "config"))
		if err != nil || string(config) != fmt.Sprintf("%d hosts\n", n) {
			t.Fatalf("config %q, %v", config, err)
		}
		must(t, s.Remove(testID(n-1)))
	}
	full := t.TempDir()
	must(t, os.Chmod(full, 0o700))
	must(t, os.WriteFile(filepath.Join(full, "precious"), nil, 0o600))
	_, _, err := s.ExportSSH(t.Context(), full, nil)
	wantKind(t, err, KindInvalid)
	open := t.TempDir()
	must(t, os.Chmod(open, 0o755))
	_, _, err = s.ExportSSH(t.Context(), open, nil)
	wantKind(t, err, KindTooOpen)
}
