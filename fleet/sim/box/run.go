package box

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/interp"
)

// cmdSh runs a script, the text of -c or its input in a new shell.
func cmdSh(c *cmd) int {
	var set []string
	args, isText := c.args, false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && !isText {
		letters := args[0][1:]
		if strings.Trim(letters, "celux") != "" {
			return c.failf("option %s: not available in the simulator", args[0])
		}
		for _, letter := range strings.NewReplacer("c", "", "l", "").Replace(letters) {
			set = append(set, "set -"+string(letter)+"; ")
		}
		args, isText = args[1:], strings.Contains(letters, "c")
	}
	before, name := strings.Join(set, ""), c.name
	switch {
	case isText && len(args) == 0:
		return c.failf("-c: option requires an argument")
	case isText:
		if len(args) > 1 {
			name = args[1]
		}
		return c.subshell(before+args[0], name, args[min(2, len(args)):])
	case len(args) == 0:
		args = []string{"-"}
	default:
		name = args[0]
	}
	r, err := c.input(args[0])
	if err != nil {
		return c.fail(args[0], err)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxCapture))
	if err := errors.Join(err, r.Close()); err != nil {
		return c.fail(args[0], err)
	}
	if args[0] == "-" {
		c.in = noInput{}
	}
	return c.subshell(before+string(data), name, args[1:])
}

// child runs another command with this one's streams.
func (c *cmd) child(args []string) int {
	if c.ctx.Err() != nil {
		return 1
	}
	sub := *c
	return sub.start(args)
}

// cmdBuiltin runs a command of the interpreter for xargs and the like.
func cmdBuiltin(c *cmd) int {
	return c.subshell(quote(append([]string{c.name}, c.args...)), "sh", nil)
}

// argRoom is what GNU xargs puts on one command line, in bytes.
const argRoom = 128 << 10

// xargs is one run of it.
type xargs struct {
	*cmd
	command []string
	most    int // items for one command
	items   []string
	room    int // bytes for further items
	ran     bool
	status  int
}

// cmdXargs knows items that end with NUL. A command runs as soon as its
// arguments are complete, so that who sends them one by one is answered.
func cmdXargs(c *cmd) int {
	if len(c.args) == 0 || c.args[0] != "-0" {
		return c.failf("items that do not end with NUL (-0): not available in the simulator")
	}
	x := &xargs{cmd: c, command: c.args[1:], most: argRoom, room: argRoom}
	if len(x.command) > 1 && x.command[0] == "-n" {
		n, err := strconv.Atoi(x.command[1])
		if err != nil || n < 1 {
			return c.failf("invalid number \"%s\" for -n option", x.command[1])
		}
		x.most, x.command = n, x.command[2:]
	}
	if len(x.command) == 0 {
		x.command = []string{"echo"}
	}
	if strings.HasPrefix(x.command[0], "-") {
		return c.failf("option %s: not available in the simulator", x.command[0])
	}
	in := bufio.NewReaderSize(c.in, 64<<10)
	c.in = noInput{}
	for {
		item, err := in.ReadString(0)
		if err != nil && !errors.Is(err, io.EOF) {
			return 1
		}
		if err != nil && item == "" {
			break
		}
		if !x.add(strings.TrimSuffix(item, "\x00")) {
			return x.status
		}
	}
	if len(x.items) > 0 || !x.ran {
		x.run()
	}
	return x.status
}

// add takes an item, runs what is complete, and tells whether to go on.
func (x *xargs) add(item string) bool {
	if len(item)+1 > x.room && len(x.items) > 0 && !x.run() {
		return false
	}
	x.items = append(x.items, item)
	x.room -= len(item) + 1
	return len(x.items) < x.most || x.run()
}

func (x *xargs) run() bool {
	status := x.child(append(slices.Clone(x.command), x.items...))
	x.items, x.room, x.ran = nil, argRoom, true
	switch status {
	case 0:
	case 126, 127: // cannot be run, is not there
		x.status = status
		return false
	case 255:
		x.status = x.usage(124, "%s: exited with status 255; aborting", x.command[0])
		return false
	default:
		x.status = 123
	}
	return true
}

func cmdTimeout(c *cmd) int {
	if len(c.args) < 2 || strings.HasPrefix(c.args[0], "-") {
		return c.usage(125, "need a number of seconds and a command")
	}
	seconds, err := strconv.ParseFloat(c.args[0], 64)
	if err != nil || seconds <= 0 {
		return c.usage(125, "invalid time interval '%s'", c.args[0])
	}
	sub := *c
	ctx, cancel := context.WithTimeout(c.ctx, time.Duration(seconds*float64(time.Second)))
	defer cancel()
	sub.ctx = ctx
	// Reads of the command end with its time, not with ours.
	if in, ok := c.in.(*ctxReader); ok {
		sub.in = &ctxReader{ctx: ctx, r: in.r, eof: in.eof}
		if file, ok := in.r.(*os.File); ok {
			stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
			defer func() {
				stop()
				_ = file.SetReadDeadline(time.Time{}) // the next command may read on
			}()
		}
	}
	status := sub.start(c.args[1:])
	if ctx.Err() != nil && c.ctx.Err() == nil {
		return 124
	}
	return status
}

// cmdCommandV is `command -v`, which in the interpreter would look for programs
// on the host.
func cmdCommandV(c *cmd) int {
	if len(c.args) != 2 || c.args[0] != "-v" {
		return c.usage(2, "only command -v NAME: available in the simulator")
	}
	name := c.args[1]
	base := name[strings.LastIndexByte(name, '/')+1:]
	switch {
	case interp.IsBuiltin(name):
	case c.sh.table[base] != nil && base == name:
		name = "/usr/bin/" + name
	case c.sh.table[base] != nil && isBinary(name, base):
	default:
		return 1
	}
	fmt.Fprintln(c.out, name)
	return 0
}

func cmdSleep(c *cmd) int {
	if len(c.args) != 1 {
		return c.failf("need one number of seconds")
	}
	seconds, err := strconv.ParseFloat(c.args[0], 64)
	if err != nil || seconds < 0 {
		return c.failf("invalid time interval '%s'", c.args[0])
	}
	select {
	case <-c.ctx.Done():
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	}
	return 0
}

func cmdYes(c *cmd) int {
	for chunk := bytes.Repeat([]byte("y\n"), 4096); ; {
		if _, err := c.out.Write(chunk); err != nil {
			return 141
		}
	}
}

// cmdTmux only knows the session of a lieutenant.
func cmdTmux(c *cmd) int {
	if len(c.args) < 3 || c.args[0] != "has-session" || c.args[1] != "-t" {
		return c.failf("not available in the simulator")
	}
	session := strings.TrimPrefix(c.args[2], "=")
	if session == "" || c.m.Tmux == nil || session != c.m.Tmux() {
		return c.failf("can't find session: %s", session)
	}
	return 0
}

func cmdHostname(c *cmd) int {
	if len(c.args) > 0 {
		return c.failf("options: not available in the simulator")
	}
	fmt.Fprintln(c.out, c.m.Hostname)
	return 0
}

// cmdDate tells the time as text, or with +%s as seconds.
func cmdDate(c *cmd) int {
	now := time.Now().UTC()
	switch {
	case len(c.args) == 0:
		fmt.Fprintln(c.out, now.Format("Mon Jan _2 15:04:05 UTC 2006"))
	case len(c.args) == 1 && c.args[0] == "+%s":
		fmt.Fprintln(c.out, now.Unix())
	default:
		return c.failf("other than +%%s: not available in the simulator")
	}
	return 0
}

func cmdUptime(c *cmd) int {
	up := time.Since(c.m.Started)
	fmt.Fprintf(c.out, " %s up %d days, %2d:%02d,  1 user,  load average: 0.08, 0.03, 0.01\n", time.Now().UTC().Format("15:04:05"),
		int(up.Hours())/24, int(up.Hours())%24, int(up.Minutes())%60)
	return 0
}

// cmdDf shows the one disk of the VM.
func cmdDf(c *cmd) int {
	f, names, ok := c.parse("h")
	if !ok {
		return 1
	}
	for _, name := range names {
		if _, err := c.fs.stat(c.path(name)); err != nil {
			return c.fail(name, err)
		}
	}
	total, free := c.fs.space()
	size, title := func(n int64) string { return strconv.FormatInt(n>>10, 10) }, "1K-blocks"
	if f.on("h") {
		size, title = human, "Size"
	}
	_, _ = fmt.Fprintf(c.out, "Filesystem %12s %10s %10s Use%% Mounted on\n/dev/vda1  %12s %10s %10s %3d%% /\n", title, "Used", "Avail",
		size(total), size(total-free), size(free), (total-free)*100/total)
	return 0
}

// human writes a size as df -h does.
func human(n int64) string {
	v, unit := float64(n), ""
	for _, next := range []string{"K", "M", "G", "T"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, next
	}
	if v < 10 && unit != "" {
		return fmt.Sprintf("%.1f%s", v, unit)
	}
	return fmt.Sprintf("%.0f%s", v, unit)
}
