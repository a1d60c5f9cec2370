//go:build unix

package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
)

// partialPrefix is dest.PartialPrefix, where dest is a variable's name.
const partialPrefix = dest.PartialPrefix

// testVM is a VM in a folder of this machine: commands run through a real
// shell, with the tools that a kind of VM has.
type testVM struct {
	home    string
	shell   []string
	path    string
	noExec  bool
	noSFTP  bool
	far     time.Duration // how late it answers pings
	takes   int64         // bytes of stdin after which a command is cut; 0 = no cut
	moved   atomic.Int64  // bytes that commands sent
	execs   atomic.Int64
	budget  atomic.Int64 // bytes until everything is cut; negative = no cut
	cutting atomic.Bool
	cuts    atomic.Int64
	edit    func(cmd string, out io.Writer) io.Writer // hostile VMs
}

// errCut is a dropped connection.
var errCut = errors.New("connection cut")

type testExit struct{ code int }

func (e *testExit) Error() string   { return fmt.Sprintf("exit status %d", e.code) }
func (e *testExit) ExitStatus() int { return e.code }

// newVM makes a VM of a kind: gnu, busybox, notar, nohash, nozstd, nodd, sftp, bare
// (no tar, no dd).
func newVM(t *testing.T, kind string) *testVM {
	t.Helper()
	vm := &testVM{home: t.TempDir(), shell: []string{"/bin/sh"}, path: os.Getenv("PATH")}
	vm.budget.Store(-1)
	switch kind {
	case "gnu":
	case "busybox":
		bb := need(t, "busybox")
		vm.path = t.TempDir()
		out, err := exec.Command(bb, "--list").Output()
		check(t, err)
		for _, name := range strings.Fields(string(out)) {
			check(t, os.Symlink(bb, filepath.Join(vm.path, name)))
		}
		vm.shell = []string{bb, "sh"}
	case "notar":
		vm.path = toolbox(t, "tar", "zstd")
	case "nohash":
		vm.path = toolbox(t, "openssl", "sha256sum", "zstd")
	case "nozstd":
		vm.path = toolbox(t, "zstd")
	case "nodd":
		vm.path = toolbox(t, "dd")
	case "bare":
		vm.path = toolbox(t, "tar", "dd", "zstd", "openssl")
	case "sftp":
		vm.noExec = true
	default:
		t.Fatalf("no such kind of VM: %s", kind)
	}
	return vm
}

// toolbox is a PATH with the usual tools except some.
func toolbox(t *testing.T, without ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range strings.Fields("sh env xargs find stat tar zstd openssl sha256sum cut head dd cat tr readlink printf grep mv mkdir rm rmdir ls touch chmod ln sleep mkfifo gzip test") {
		if at, err := exec.LookPath(name); err == nil {
			check(t, os.Symlink(at, filepath.Join(dir, name)))
		}
	}
	for _, name := range without {
		_ = os.Remove(filepath.Join(dir, name))
	}
	return dir
}

// need finds a tool or skips; under CI a missing tool is a failure.
func need(t *testing.T, name string) string {
	t.Helper()
	at, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is needed", name)
		}
		t.Skipf("%s is not here", name)
	}
	return at
}

func (vm *testVM) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	vm.execs.Add(1)
	if vm.cutting.Load() {
		return errCut
	}
	if vm.noExec {
		_, _ = io.WriteString(stderr, "This service allows sftp connections only.\n")
		return &testExit{1}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	args := slices.Concat(vm.shell[1:], []string{"-c", cmd}) // sessions run side by side
	c := exec.CommandContext(ctx, vm.shell[0], args...)
	c.Dir, c.Env = vm.home, []string{"PATH=" + vm.path, "HOME=" + vm.home}
	c.WaitDelay = 10 * time.Second // what it said last must arrive, also on a busy machine
	if vm.edit != nil {
		stdout = vm.edit(cmd, stdout)
	}
	c.Stderr = stderr
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	go func() { // as over SSH: a command may end before its stdin does
		if n := vm.takes; n > 0 {
			if _, err := io.CopyN(in, stdin, n); err == nil {
				cancel(errCut)
				_ = in.Close() // what the shell started sees the end, too
				return
			}
		}
		_, _ = io.Copy(in, stdin)
		_ = in.Close()
	}()
	c.Stdout = &cutWriter{vm: vm, w: stdout, cancel: cancel}
	err = c.Run()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &testExit{exit.ExitCode()}
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

// cutWriter counts, and cuts all connections when the budget is used up.
type cutWriter struct {
	vm     *testVM
	w      io.Writer
	cancel context.CancelCauseFunc
}

func (w *cutWriter) Write(p []byte) (int, error) {
	if w.vm.cutting.Load() {
		w.cancel(errCut)
		return 0, errCut
	}
	if b := w.vm.budget.Load(); b >= 0 {
		left := w.vm.budget.Add(-int64(len(p)))
		if left < 0 {
			keep := max(0, int64(len(p))+left)
			n, _ := w.w.Write(p[:keep])
			w.vm.moved.Add(int64(n))
			w.vm.cutting.Store(true)
			w.vm.cuts.Add(1)
			w.cancel(errCut)
			return n, errCut
		}
	}
	n, err := w.w.Write(p)
	w.vm.moved.Add(int64(n))
	return n, err
}

func (vm *testVM) OpenSubsystem(_ context.Context, name string) (io.ReadWriteCloser, error) {
	if vm.noSFTP || name != "sftp" {
		return nil, errors.New("subsystem request failed")
	}
	a, b := net.Pipe()
	srv, err := sftp.NewServer(b, sftp.WithServerWorkingDirectory(vm.home))
	if err != nil {
		return nil, err
	}
	go func() { _ = srv.Serve(); _ = b.Close() }()
	return a, nil
}

func (vm *testVM) Ping(ctx context.Context) error {
	time.Sleep(vm.far)
	return ctx.Err()
}

func (vm *testVM) remote() Remote { return Remote{Conn: vm} }

// heal ends a cut.
func (vm *testVM) heal() {
	vm.budget.Store(-1)
	vm.cutting.Store(false)
}

func (vm *testVM) file(name string) string { return filepath.Join(vm.home, name) }

// write makes a file on the VM.
func (vm *testVM) write(t *testing.T, name, content string) string {
	t.Helper()
	at := vm.file(name)
	check(t, os.MkdirAll(filepath.Dir(at), 0o755))
	check(t, os.WriteFile(at, []byte(content), 0o644))
	return at
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pullTest pulls with a log that is shown when the test fails.
func pullTest(t *testing.T, r Remote, o PullOptions) (Summary, error) {
	t.Helper()
	var mu sync.Mutex
	done := false
	o.Logf = func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if !done {
			t.Logf(format, args...)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	sum, err := Pull(ctx, r, o)
	mu.Lock()
	done = true
	mu.Unlock()
	for _, f := range sum.Failures {
		t.Logf("failure: %q (%s): %s", f.Path, f.Kind, f.Reason)
	}
	return sum, err
}
