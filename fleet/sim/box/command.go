package box

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
)

// command is one program of the VM; it returns its exit status.
type command func(c *cmd) int

// cmd is a running command.
type cmd struct {
	ctx  context.Context
	sh   *shell
	m    *Machine
	fs   *FS
	name string
	args []string // without the name
	dir  string
	env  expand.Environ
	in   io.Reader
	out  io.Writer
	err  io.Writer
}

// commands lists the programs of a VM.
func commands() map[string]command {
	table := map[string]command{
		"cat": cmdCat, "head": cmdHead, "tr": cmdTr, "wc": cmdWc, "grep": cmdGrep, "sha256sum": cmdSum(sha256.New), "dd": cmdDd, "tar": cmdTar,
		"ls": cmdLs, "find": cmdFind, "stat": cmdStat, "readlink": cmdReadlink, "df": cmdDf,
		"mkdir": cmdMkdir, "rm": cmdRm, "touch": cmdTouch, "ln": cmdLn, "chmod": cmdChmod, "mv": cmdMv, "rmdir": cmdRmdir, "pwd": cmdPwd,
		"sh": cmdSh, "bash": cmdSh, "xargs": cmdXargs, "timeout": cmdTimeout, "sleep": cmdSleep, "yes": cmdYes,
		"hostname": cmdHostname, "date": cmdDate, "uptime": cmdUptime, "tmux": cmdTmux, "command": cmdCommandV,
	}
	for _, name := range []string{"echo", "printf", "true", "false", "test", "["} {
		table[name] = cmdBuiltin
	}
	return table
}

// exec runs every command that is not built into the interpreter.
func (sh *shell) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	c := &cmd{ctx: ctx, sh: sh, m: sh.m, fs: sh.m.FS, dir: hc.Dir, env: hc.Env,
		in: &ctxReader{ctx: ctx, r: hc.Stdin}, out: &ctxWriter{ctx: ctx, w: sh.bounded(hc.Stdout)}, err: hc.Stderr}
	if hc.Stdin == nil || isNilFile(hc.Stdin) {
		c.in = noInput{}
	} else if tty := sh.s.tty; tty != nil && hc.Stdin == sh.s.stdin {
		c.in = &ctxReader{ctx: ctx, r: hc.Stdin, eof: &tty.sawEOF}
	}
	stop := context.AfterFunc(ctx, func() { interrupt(hc.Stdin, hc.Stdout) })
	status := c.start(args)
	stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if status == 0 {
		return nil
	}
	return interp.ExitStatus(uint8(status))
}

// interrupt ends the blocked reads and writes of a cancelled command.
func interrupt(in io.Reader, out io.Writer) {
	past := time.Unix(1, 0)
	if f, ok := in.(*os.File); ok && f != nil {
		_ = f.SetReadDeadline(past) // plain files have no deadline and do not block
	}
	if f, ok := out.(*os.File); ok && f != nil {
		_ = f.SetWriteDeadline(past)
	}
}

// start finds a command by its name and runs it.
func (c *cmd) start(args []string) int {
	name := args[0]
	c.name, c.args = path.Base(strings.TrimPrefix(name, "\x00")), args[1:]
	run, found := c.sh.table[c.name]
	if found && isBinary(name, c.name) {
		return run(c)
	}
	if strings.Contains(name, "/") {
		return c.runFile(name)
	}
	fmt.Fprintf(c.err, "sh: %s: not available in the simulator\n", c.name)
	return 127
}

// isBinary reports whether a name means a command by its bare name or in one
// of the folders where programs are.
func isBinary(name, base string) bool {
	switch strings.TrimPrefix(name, "\x00") {
	case base, "/bin/" + base, "/usr/bin/" + base, "/sbin/" + base, "/usr/sbin/" + base, "/usr/local/bin/" + base:
		return true
	}
	return false
}

// runFile runs a script of the VM; a binary is refused.
func (c *cmd) runFile(name string) int {
	full := c.path(name)
	fi, err := c.fs.stat(full)
	if err != nil {
		fmt.Fprintf(c.err, "sh: %s: %s\n", name, reason(err))
		return 127
	}
	if fi.IsDir() || fi.Mode().Perm()&0o111 == 0 {
		fmt.Fprintf(c.err, "sh: %s: Permission denied\n", name)
		return 126
	}
	data, err := c.fs.readFile(full, maxCapture)
	if err != nil {
		fmt.Fprintf(c.err, "sh: %s: %s\n", name, reason(err))
		return 126
	}
	line, _, _ := strings.Cut(string(data[:min(len(data), 200)]), "\n")
	if strings.IndexByte(line, 0) >= 0 {
		fmt.Fprintf(c.err, "sh: %s: not available in the simulator\n", name)
		return 126
	}
	if strings.HasPrefix(line, "#!") && !strings.HasSuffix(line, "sh") && !strings.Contains(line, "sh ") {
		fmt.Fprintf(c.err, "sh: %s: interpreter %s: not available in the simulator\n", name, strings.TrimPrefix(line, "#!"))
		return 127
	}
	return c.subshell(string(data), name, c.args)
}

// subshell runs a text in a new shell with the command's streams and
// exported variables, as a child process would.
func (c *cmd) subshell(text, name string, params []string) int {
	s := job{dir: c.dir, stdin: c.in, stdout: c.out, stderr: c.err, tty: c.sh.s.tty, env: c.environ(), bare: true}
	if r, ok := c.in.(*ctxReader); ok {
		s.stdin = r.r // the file itself, which a shell needs not copy
	}
	sub, err := c.m.newShell(s)
	if err != nil {
		return c.failf("%v", err)
	}
	sub.runner.Params = slices.Clone(params)
	return sub.script(c.ctx, text, name)
}

// environ lists the exported variables.
func (c *cmd) environ() []string {
	var env []string
	for name, v := range c.env.Each {
		if v.Exported && v.Kind == expand.String && v.IsSet() {
			env = append(env, name+"="+v.Str)
		}
	}
	slices.Sort(env)
	return env
}

// path makes a name absolute.
func (c *cmd) path(name string) string { return abs(c.dir, name) }

// failf reports a failure and is the status 1.
func (c *cmd) failf(format string, args ...any) int {
	fmt.Fprintf(c.err, c.name+": "+format+"\n", args...)
	return 1
}

// usage reports a failure and is the given status.
func (c *cmd) usage(status int, format string, args ...any) int {
	c.failf(format, args...)
	return status
}

// fail reports what is wrong with a file, in the words of the C library.
func (c *cmd) fail(name string, err error) int { return c.failf("%s: %s", name, reason(err)) }

// input opens a file to read, "-" being standard input.
func (c *cmd) input(name string) (io.ReadCloser, error) {
	if name == "-" || name == "/dev/stdin" || name == "/dev/fd/0" {
		return io.NopCloser(c.in), nil
	}
	full := c.path(name)
	if fi, err := c.fs.stat(full); err == nil && fi.IsDir() {
		return nil, pathError("read", name, syscall.EISDIR)
	}
	file, err := c.fs.open(c.ctx, full)
	if err != nil {
		return nil, err
	}
	return &ctxFile{ctxReader: ctxReader{ctx: c.ctx, r: file}, File: file}, nil
}

// reason words an error as the C library does.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	text := err.Error()
	if errors.Is(err, syscall.ENOTEMPTY) {
		text = "directory not empty"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// ctxReader ends with its context, between two reads.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
	eof *atomic.Bool // set at the end, if not nil
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	if err != nil && c.eof != nil {
		c.eof.Store(true)
	}
	return n, err
}

// ctxWriter ends with its context, between two writes.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *ctxWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// ctxFile is a file whose reading ends with its context.
type ctxFile struct {
	ctxReader
	File
}

func (c *ctxFile) Read(p []byte) (int, error) { return c.ctxReader.Read(p) }

// flags is what a command line said, by the letter.
type flags struct {
	count  map[string]int
	values map[string][]string
}

func (f flags) on(name string) bool { return f.count[name] > 0 }

func (f flags) all(name string) []string { return f.values[name] }

// get returns the last value of an option.
func (f flags) get(name string) (string, bool) {
	v := f.values[name]
	if len(v) == 0 {
		return "", false
	}
	return v[len(v)-1], true
}

// parse reads options the way GNU getopt does. spec is like getopt's: letters,
// each followed by ":" if it takes a value. On an unknown option, which every
// long one is, it has reported the usage error.
func (c *cmd) parse(spec string) (f flags, rest []string, ok bool) {
	f = flags{count: make(map[string]int), values: make(map[string][]string)}
	for args := c.args; len(args) > 0; {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return f, append(rest, args...), true
		case len(arg) > 1 && arg[0] == '-':
			var err error
			if args, err = f.short(arg[1:], args, spec); err != nil {
				c.failf("%v", err)
				return f, nil, false
			}
		default:
			rest = append(rest, arg)
		}
	}
	return f, rest, true
}

func (f flags) short(letters string, args []string, spec string) ([]string, error) {
	for i := 0; i < len(letters); i++ {
		letter := letters[i : i+1]
		at := strings.Index(spec, letter)
		if letter == ":" || at < 0 {
			return nil, fmt.Errorf("option -%s: not available in the simulator", letters[i:])
		}
		f.count[letter]++
		if !strings.HasPrefix(spec[at+1:], ":") {
			continue
		}
		value := letters[i+1:]
		if value == "" && len(args) == 0 {
			return nil, fmt.Errorf("option requires an argument -- '%s'", letter)
		}
		if value == "" {
			value, args = args[0], args[1:]
		}
		f.values[letter] = append(f.values[letter], value)
		return args, nil
	}
	return args, nil
}

// number reads a plain number.
func number(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid number '%s'", text)
	}
	return n, nil
}
