package sim

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

func TestExecOverSSH(t *testing.T) {
	s := start(t, Config{Still: true})
	client := mustLogin(t, s, s.VM("marketing"))
	out, errOut, err := run(t, client, "cat; echo oops >&2; hostname; exit 7", "given\n")
	exit, ok := errors.AsType[*ssh.ExitError](err)
	if !ok || exit.ExitStatus() != 7 || out != "given\nmarketing\n" || errOut != "oops\n" {
		t.Errorf("%q %q %v", out, errOut, err)
	}
	if _, _, err := client.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Errorf("keep-alive: %v", err)
	}
	if _, _, err := run(t, client, "true", ""); err != nil {
		t.Errorf("true: %v", err)
	}
}

func TestSignalsAndCancellation(t *testing.T) {
	s := start(t, Config{Still: true})
	client := mustLogin(t, s, s.VM("chad-fix"))
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, err := session.StdinPipe() // keeps cat waiting
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := session.Start("cat; sleep 1000"); err != nil {
		t.Fatal(err)
	}
	if err := session.Signal(ssh.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = session.Wait()
	if exit, ok := errors.AsType[*ssh.ExitError](err); !ok || exit.Signal() != "TERM" {
		t.Errorf("after SIGTERM: %v", err)
	}
	if out, _, err := run(t, client, "yes | head -c 1000000", ""); err != nil || len(out) != 1_000_000 {
		t.Errorf("pipeline: %d bytes, %v", len(out), err)
	}
}

func TestLoginRefused(t *testing.T) {
	s := start(t, Config{Still: true})
	vm := s.VM("infra-ui")
	client := mustLogin(t, s, vm)
	old, err := vm.PrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := vm.RotateKey(); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(old)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialTLS(t, s, s.ServerName(vm))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _, _, err = ssh.NewClientConn(conn, "vm", &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err == nil {
		t.Error("the old key is still accepted")
	}
	before, _ := vm.HostKey()
	if err := vm.RotateHostKey(); err != nil {
		t.Fatal(err)
	}
	if after, _ := vm.HostKey(); after == before {
		t.Error("the host key did not change")
	}
	if err := vm.SetState(StatePaused); err != nil {
		t.Fatal(err)
	}
	if err := client.Wait(); err == nil {
		t.Error("a paused VM keeps its connections")
	}
	if _, err := login(t, s, vm); err == nil {
		t.Error("a paused VM accepts a login")
	}
	if _, err := dialTLS(t, s, "www.example.org"); err == nil {
		t.Error("a foreign name got a certificate that fits")
	}
}

func TestGatewayFaults(t *testing.T) {
	s := start(t, Config{Still: true})
	vm := s.VM("marketing")
	for _, kind := range []string{"gateway-down", "gateway-cert", "gateway-expired", "gateway-untrusted"} {
		if err := s.SetFault(Fault{Kind: kind, VM: "marketing"}); err != nil {
			t.Fatal(err)
		}
		if _, err := login(t, s, vm); err == nil {
			t.Errorf("%s: login works", kind)
		}
		mustLogin(t, s, s.VM("chad-dev"))
		s.ClearFaults()
	}
	if err := s.SetFault(Fault{Kind: "gateway-reset", Bytes: 20_000}); err != nil {
		t.Fatal(err)
	}
	client := mustLogin(t, s, vm)
	if _, _, err := run(t, client, "head -c 100000 /dev/zero", ""); err == nil {
		t.Error("gateway-reset: 100 kB came through")
	}
	s.ClearFaults()
	client = mustLogin(t, s, vm)
	s.CutConnections()
	if client.Wait() == nil {
		t.Error("the connection was not cut")
	}
}

func TestSFTP(t *testing.T) {
	s := start(t, Config{Still: true})
	vm := s.VM("marketing")
	client, err := sftp.NewClient(mustLogin(t, s, vm))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	file, err := client.Open("/root/workspace/images/campaign-01.png")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	want, wantErr := os.ReadFile(filepath.Join(vm.Root(), "root/workspace/images/campaign-01.png"))
	if err != nil || wantErr != nil || !bytes.Equal(got, want) || !bytes.HasPrefix(got, []byte("\x89PNG")) {
		t.Errorf("picture: %d bytes of %d, %v %v", len(got), len(want), err, wantErr)
	}
	if target, err := client.ReadLink("/root/workspace/latest.png"); err != nil || target != "images/campaign-08.png" {
		t.Errorf("link: %q %v", target, err)
	}
	if fi, err := client.Lstat("/root/workspace/run.sh"); err != nil || fi.Mode().Perm() != 0o755 {
		t.Errorf("run.sh: %v %v", fi, err)
	}
	if fi, err := client.Stat(piIn); err != nil || fi.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("fifo: %v %v", fi, err)
	}
	out, err := client.Create("/root/up.tmp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.ReadFrom(strings.NewReader(strings.Repeat("x", 300_000))); err != nil {
		t.Error(err)
	}
	when := time.Unix(1_700_000_000, 0)
	if err := errors.Join(out.Close(), client.Chmod("/root/up.tmp", 0o600), client.Chtimes("/root/up.tmp", when, when),
		client.PosixRename("/root/up.tmp", "/root/up"), client.Mkdir("/root/d"), client.Symlink("up", "/root/l")); err != nil {
		t.Error(err)
	}
	if fi, err := client.Stat("/root/l"); err != nil || fi.Size() != 300_000 || !fi.ModTime().Equal(when) || fi.Mode().Perm() != 0o600 {
		t.Errorf("uploaded: %v %v", fi, err)
	}
	if err := client.Symlink("/etc/passwd", "/root/p"); err != nil {
		t.Error(err)
	}
	if f, err := client.Open("/root/p"); err != nil {
		t.Error(err)
	} else if data, _ := io.ReadAll(f); !strings.Contains(string(data), "nobody:x:65534") || strings.Contains(string(data), "daemon") {
		t.Errorf("passwd of the VM: %q", data)
	}
	if _, err := client.Open("/../../../../../../../../etc/shadow"); err == nil {
		t.Error("the host's shadow file opens")
	}
}
