package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

const (
	maxStack      = 5_000    // Go frames of nested shell functions
	maxGoroutines = 20_000   // against fork bombs
	maxCapture    = 64 << 20 // bytes a command may write into a variable
)

// shell is one run of the interpreter, shared by its subshells.
type shell struct {
	m      *Machine
	s      job
	runner *interp.Runner
	table  map[string]command
}

// run runs a command line in the VM and returns its exit status. It ends when
// ctx does, with status 130.
func (m *Machine) run(ctx context.Context, s job) int {
	sh, err := m.newShell(s)
	if err != nil {
		fmt.Fprintf(s.stderr, "sh: %v\n", err)
		return 1
	}
	return sh.script(ctx, s.command, "sh")
}

// newShell prepares an interpreter that has no way to the host.
func (m *Machine) newShell(s job) (*shell, error) {
	s.stdout, s.stderr = serialize(s.stdout, s.stderr)
	sh := &shell{m: m, s: s, table: commands()}
	env := newEnviron(m, s)
	dir := s.dir
	if dir == "" {
		dir = "/root"
	}
	runner, err := interp.New(
		func(r *interp.Runner) error { r.Dir = dir; return nil }, // interp.Dir would stat the host's folder
		interp.Env(env),
		interp.StdIO(s.stdin, s.stdout, s.stderr),
		interp.CallHandler(sh.call),
		interp.OpenHandler(sh.open),
		interp.ReadDirHandler2(sh.readDir),
		interp.StatHandler(sh.stat),
		interp.AccessHandler(sh.access),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return sh.exec }),
	)
	if err != nil {
		return nil, err
	}
	runner.Reset()
	env.booting.Store(false)
	sh.runner = runner
	return sh, nil
}

// script parses and runs a text.
func (sh *shell) script(ctx context.Context, text, name string) int {
	file, err := syntax.NewParser().Parse(strings.NewReader(text), name)
	if err != nil {
		fmt.Fprintf(sh.s.stderr, "%v\n", err)
		return 2
	}
	if forbidden(file) {
		fmt.Fprintln(sh.s.stderr, "sh: process substitution: not available in the simulator")
		return 2
	}
	return sh.run(ctx, file)
}

// forbidden finds <(...) and >(...), which would need FIFOs on the host. In
// text that eval makes, they fail for want of a folder for them. It also
// rewrites [[ -O x ]].
func forbidden(file *syntax.File) (found bool) {
	syntax.Walk(file, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.ProcSubst:
			found = true
		case *syntax.UnaryTest:
			if node.Op == syntax.TsUsrOwn || node.Op == syntax.TsGrpOwn {
				node.Op = syntax.TsExists // as in ownerTest
			}
		}
		return !found
	})
	return found
}

func (sh *shell) run(ctx context.Context, node syntax.Node) (status int) {
	defer func() {
		if r := recover(); r != nil { // the interpreter panics on what it does not support
			fmt.Fprintf(sh.s.stderr, "sh: %v: not available in the simulator\n", r)
			status = 2
		}
	}()
	err := sh.runner.Run(ctx, node)
	if ctx.Err() != nil {
		return 130
	}
	if exit, ok := errors.AsType[interp.ExitStatus](err); ok {
		return int(exit)
	}
	if err != nil {
		fmt.Fprintf(sh.s.stderr, "sh: %v\n", err)
		return 1
	}
	return 0
}

// call sees every command before it runs. It turns built-in commands that
// would look at the host, or that the interpreter lacks, into our own.
func (sh *shell) call(_ context.Context, args []string) ([]string, error) {
	if runtime.NumGoroutine() > maxGoroutines {
		return nil, errors.New("fork: resource temporarily unavailable")
	}
	var pc [1]uintptr
	if runtime.Callers(maxStack, pc[:]) > 0 {
		return nil, errors.New("maximum function nesting level exceeded")
	}
	return rewrite(args), nil
}

// ownerTest turns "is it mine" into "is it there": everything in a VM belongs
// to root, and the interpreter would look the user up on the host.
func ownerTest(args []string) []string {
	for i, arg := range args {
		if arg == "-O" || arg == "-G" {
			args = slices.Clone(args)
			args[i] = "-e"
		}
	}
	return args
}

// rewrite replaces built-ins that look for files on the host. The names with
// a NUL byte cannot be typed.
func rewrite(args []string) []string {
	switch args[0] {
	case "type", "kill", "umask", "ulimit", "jobs":
		return append([]string{"\x00" + args[0]}, args[1:]...)
	case "pwd":
		if len(args) > 1 {
			return append([]string{"\x00pwd"}, args[1:]...) // the interpreter would resolve links on the host
		}
	case "cd":
		for len(args) > 1 && (args[1] == "--" || args[1] == "-L" || args[1] == "-P") {
			args = append([]string{"cd"}, args[2:]...)
		}
	case "trap":
		return rewriteTrap(args)
	case "test", "[":
		return ownerTest(args)
	case "printf":
		return posixOctal(rewritePrintf(args))
	case "source", ".":
		if len(args) > 1 {
			// With the NUL byte no path of the host can match; open takes it off.
			return append([]string{args[0], "\x00" + args[1]}, args[2:]...)
		}
	case "builtin", "command":
		if len(args) < 2 {
			return args
		}
		if args[0] == "command" && strings.HasPrefix(args[1], "-") && args[1] != "--" {
			return append([]string{"\x00command"}, args[1:]...)
		}
		if args[1] == "--" {
			return rewrite(append([]string{args[0]}, args[2:]...))
		}
		if inner := rewrite(args[1:]); inner[0] != args[1] || inner[0] == "source" || inner[0] == "." {
			return inner
		}
	}
	return args
}

// rewriteTrap drops the signals that nothing here can send, and says EXIT as
// the interpreter wants it.
func rewriteTrap(args []string) []string {
	if len(args) < 3 {
		return args
	}
	kept := []string{"trap", args[1]}
	for _, signal := range args[2:] {
		switch strings.TrimPrefix(signal, "SIG") {
		case "HUP", "INT", "QUIT", "TERM", "PIPE", "USR1", "USR2", "ALRM", "CHLD", "WINCH", "TSTP", "CONT", "1", "2", "3", "13", "15":
		case "0":
			kept = append(kept, "EXIT")
		default:
			kept = append(kept, signal)
		}
	}
	if len(kept) == 2 {
		return []string{"true"}
	}
	return kept
}

// abs makes a path of the VM absolute. It does not touch "..", which means
// something else behind a symbolic link.
func abs(dir, name string) string {
	name = strings.TrimPrefix(name, "\x00")
	if strings.HasPrefix(name, "/") {
		return name
	}
	if name == "" {
		return ""
	}
	return strings.TrimSuffix(dir, "/") + "/" + name
}

func (sh *shell) open(ctx context.Context, name string, flag int, perm fs.FileMode) (io.ReadWriteCloser, error) {
	hc := interp.HandlerCtx(ctx)
	full := abs(hc.Dir, name)
	if stream, found := stdStream(full, hc); found {
		return stream, nil
	}
	file, err := sh.m.FS.openFile(ctx, full, flag, perm)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			fmt.Fprintf(hc.Stderr, "sh: %s: %s\n", name, reason(pe))
			return nil, pe
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if r, ok := file.(*regular); ok && flag&writing == 0 {
		return r.File, nil // lets the interpreter use the file itself as stdin
	}
	return file, nil
}

func (sh *shell) readDir(_ context.Context, name string) ([]fs.DirEntry, error) {
	return sh.m.FS.readDir(path.Clean(name))
}

func (sh *shell) stat(_ context.Context, name string, follow bool) (fs.FileInfo, error) {
	return sh.m.FS.look(name, follow)
}

// access decides by permission bits; root may read and write everything.
func (sh *shell) access(_ context.Context, name string, mode interp.AccessMode) error {
	fi, err := sh.m.FS.stat(name)
	if err != nil {
		return err
	}
	if mode&interp.AccessExec != 0 && fi.Mode().Perm()&0o111 == 0 {
		return fs.ErrPermission
	}
	return nil
}

// serialize makes two writers safe for the concurrent parts of a pipeline.
func serialize(stdout, stderr io.Writer) (io.Writer, io.Writer) {
	out := &lockedWriter{mu: new(sync.Mutex), w: stdout}
	if stdout == stderr {
		return out, &lockedWriter{mu: out.mu, w: stderr}
	}
	return out, &lockedWriter{mu: new(sync.Mutex), w: stderr}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w == nil {
		return len(p), nil
	}
	return l.w.Write(p)
}

// captureWriter bounds what a command writes into memory.
type captureWriter struct {
	w    io.Writer
	left int
}

func (c *captureWriter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		return 0, errors.New("output of a substitution is too long for the simulator")
	}
	c.left -= len(p)
	return c.w.Write(p)
}

// bounded wraps writers that are neither the session's, a file nor a pipe: what
// is left are the buffers of command substitutions.
func (sh *shell) bounded(w io.Writer) io.Writer {
	switch w.(type) {
	case *lockedWriter, *os.File, File:
		return w
	}
	return &captureWriter{w: w, left: maxCapture}
}
