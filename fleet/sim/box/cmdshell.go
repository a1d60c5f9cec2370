package box

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// cmdSh runs a script or the text of -c in a new shell.
func cmdSh(c *cmd) int {
	args := c.args
	strict := []string{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--" || arg == "--norc" || arg == "--noprofile" || arg == "-l" || arg == "--login":
		case arg == "-s":
			return c.shellStdin(args)
		case strings.HasSuffix(arg, "c") && strings.Trim(arg, "-celux") == "":
			for _, letter := range strings.Trim(arg, "-c") {
				if letter != 'l' {
					strict = append(strict, "set -"+string(letter)+"; ")
				}
			}
			if len(args) == 0 {
				return c.failf("-c: option requires an argument")
			}
			name := c.name
			if len(args) > 1 {
				name = args[1]
			}
			return c.subshell(strings.Join(strict, "")+args[0], name, args[min(2, len(args)):])
		case strings.Trim(arg, "-eux") == "":
			strict = append(strict, "set "+arg+"; ")
		default:
			return c.failf("option %s: not available in the simulator", arg)
		}
	}
	if len(args) == 0 {
		return c.shellStdin(nil)
	}
	r, err := c.input(args[0])
	if err != nil {
		return c.fail(args[0], err)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxCapture))
	if err := errors.Join(err, r.Close()); err != nil {
		return c.fail(args[0], err)
	}
	return c.subshell(strings.Join(strict, "")+string(data), args[0], args[1:])
}

func (c *cmd) shellStdin(params []string) int {
	data, err := io.ReadAll(io.LimitReader(c.in, maxCapture))
	if err != nil {
		return 1
	}
	c.in = noInput{}
	return c.subshell(string(data), c.name, params)
}

// shellRun runs a text in a new shell with exactly this environment.
func (c *cmd) shellRun(text string, env []string) int {
	s := Session{Command: text, Dir: c.dir, Stdin: c.in, Stdout: c.out, Stderr: c.err, TTY: c.sh.s.TTY, Env: env, bare: true}
	if r, ok := c.in.(*ctxReader); ok {
		s.Stdin = r.r
	}
	return c.m.Run(c.ctx, s)
}

// cmdBuiltin runs a command of the interpreter for env, xargs and the like.
func cmdBuiltin(c *cmd) int {
	return c.subshell(Quote(append([]string{c.name}, c.args...)), "sh", nil)
}

// cmdPrefix makes a command such as nohup that runs the rest of its line.
func cmdPrefix(valued string) command {
	return func(c *cmd) int {
		_, rest := splitOptions(c.args, valued)
		if len(rest) == 0 {
			return c.failf("missing operand")
		}
		return c.child(rest)
	}
}

func cmdTimeout(c *cmd) int {
	own, rest := splitOptions(c.args, "sk")
	c.args = own
	if _, _, ok := c.parse("s:k:v", "signal:=s", "kill-after:=k", "foreground=fg", "preserve-status=ps"); !ok {
		return 125
	}
	if len(rest) < 2 {
		return c.failf("missing operand")
	}
	d, err := duration(rest[0])
	if err != nil {
		return c.failf("%v", err)
	}
	sub := *c
	if d > 0 {
		ctx, cancel := context.WithTimeout(c.ctx, d)
		defer cancel()
		sub.ctx = ctx
	}
	// Reads and writes of the command end with its time, not with ours.
	in, _ := c.in.(*ctxReader)
	if in != nil {
		sub.in = &ctxReader{ctx: sub.ctx, r: in.r, eof: in.eof}
		if file, ok := in.r.(*os.File); ok {
			stop := context.AfterFunc(sub.ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
			defer func() {
				stop()
				_ = file.SetReadDeadline(time.Time{}) // the next command may read on
			}()
		}
	}
	status := sub.start(rest[1:])
	if sub.ctx.Err() != nil && c.ctx.Err() == nil {
		return 124
	}
	return status
}
