package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"runtime"
	"time"
)

// Command is a shell line that is run because of an event, which it reads as one
// JSON object on stdin.
type Command struct {
	Line           string
	Env            []string // all of its environment: no secret may be among it
	Stdout, Stderr io.Writer
}

// Run runs it and returns its exit status. The error says why it could not be
// run, or was stopped because ctx ended.
func (c Command) Run(ctx context.Context, event Event) (status int, err error) {
	data, err := json.Marshal(event)
	if err != nil {
		return 0, err
	}
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/C"
	}
	cmd := exec.CommandContext(ctx, shell, flag, c.Line)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Env, bytes.NewReader(append(data, '\n')), c.Stdout, c.Stderr
	cmd.WaitDelay = time.Second // for what it has left behind with its output open
	err = cmd.Run()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if state := cmd.ProcessState; state != nil && state.Exited() {
		return state.ExitCode(), nil // also when it did not read all of stdin
	}
	return 0, err
}
