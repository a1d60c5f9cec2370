//go:build unix

package lieutenant

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// local is a Conn that runs the commands on this machine, in the shell given.
type local struct {
	shell []string
	env   []string
}

type exitStatus struct{ *exec.ExitError }

func (e exitStatus) ExitStatus() int { return e.ExitCode() }

func (l local) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	c := exec.CommandContext(ctx, l.shell[0], append(l.shell[1:], cmd)...)
	c.Env, c.Stdin, c.Stdout, c.Stderr = l.env, stdin, stdout, stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second
	err := c.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := err.(*exec.ExitError); ok {
		return exitStatus{e}
	}
	return err
}

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // the tests mostly wait for shells
	m.Run()
}

// need skips a test on a machine without a tool, but not in CI.
func need(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing", tool)
		}
		t.Skipf("%s is missing", tool)
	}
	return path
}

// inShells runs a test with the usual tools, with a shell whose profile talks, with busybox alone, and with busybox
// that lacks stat; or only in those named.
func inShells(t *testing.T, test func(t *testing.T, s *Stream), only ...string) {
	for name, conn := range map[string]func(t *testing.T) local{
		"sh": func(t *testing.T) local { return local{[]string{need(t, "sh"), "-c"}, tmuxEnv(t)} },
		"bash with a talkative profile": func(t *testing.T) local {
			const profile = `printf 'Welcome!\nvf is not vf:\nno newline'; eval "$0"`
			return local{[]string{need(t, "bash"), "-c", profile}, tmuxEnv(t)}
		},
		"busybox": busybox,
		"busybox without stat": func(t *testing.T) local {
			l := busybox(t)
			check(t, os.Remove(filepath.Join(filepath.Dir(l.shell[0]), "stat")))
			return l
		},
	} {
		if len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStream(t, conn(t)))
		})
	}
}

// tmuxEnv is this process's environment with tmux sessions of its own. The folder's name is short because that of a socket must be.
func tmuxEnv(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return append(os.Environ(), "TMUX_TMPDIR="+dir)
}

// busybox is a machine that has nothing but busybox.
func busybox(t *testing.T) local {
	t.Helper()
	box, dir := need(t, "busybox"), t.TempDir()
	list, err := exec.Command(box, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for applet := range strings.FieldsSeq(string(list)) {
		if err := os.Symlink(box, filepath.Join(dir, applet)); err != nil {
			t.Fatal(err)
		}
	}
	return local{[]string{filepath.Join(dir, "sh"), "-c"}, []string{"PATH=" + dir}}
}

// newStream is a stream in a folder of its own, whose name must be quoted, with nothing in it.
func newStream(t *testing.T, conn Conn) *Stream {
	dir := filepath.Join(t.TempDir(), `it's [a] $(folder)*`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return &Stream{Conn: conn, sendWait: 1, paths: paths{in: dir + "/in", out: dir + "/out", session: "vers-fleet-test"}}
}

// write appends lines to the stream.
func (s *Stream) write(t *testing.T, text ...string) {
	t.Helper()
	f, err := os.OpenFile(s.paths.out, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(text, "")); err != nil {
		t.Fatal(err)
	}
}

const (
	started = `{"type":"agent_start"}` + "\n"
	ended   = `{"type":"agent_end","messages":[]}` + "\n"
)

func delta(s string) string {
	return fmt.Sprintf(`{"type":"message_update","message":{"role":"assistant"},"assistantMessageEvent":{"type":"text_delta","contentIndex":0,"delta":%s}}`+"\n", jsonString(s))
}

func jsonString(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func texts(list []Answer) []string {
	out := []string{}
	for _, a := range list {
		out = append(out, a.Text)
	}
	return out
}
