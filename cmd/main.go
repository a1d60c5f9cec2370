package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// Main runs the program and returns its exit code. The first SIGINT, SIGTERM
// or SIGHUP cancels the work so that it can end cleanly, a second one kills.
// A closed pipe on stdout ends quietly with success.
func Main() int { return mainWith(systemEnv()) }

func mainWith(env *Env) (code int) {
	log.SetOutput(io.Discard) // net/http repeats there what a server says out of turn
	defer func() {
		if p := recover(); p != nil {
			env.restoreTerminal()
			code = showPanic(env, p)
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, func() {
		env.restoreTerminal() // nothing else would when a second signal kills
		stop()                // from then on a signal has its default effect
	})

	go endAtQuit(ctx, stop)

	// With a handler, a write to a closed stdout fails with EPIPE instead of
	// killing the process, so that files and terminal are left in order.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	return Run(ctx, env)
}

// endAtQuit makes SIGQUIT (Ctrl-\) end the program as an interrupt does: Go would
// print its stacks. cancel ends ctx, and gives the interrupt its default effect.
func endAtQuit(ctx context.Context, cancel func()) {
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	for range quit {
		if self, err := os.FindProcess(os.Getpid()); err == nil && ctx.Err() != nil {
			_ = self.Signal(os.Interrupt) // it was asked for once, and still goes on
		}
		cancel()
	}
}

// Run executes env.Args and returns the exit code, having shown any error.
func Run(ctx context.Context, env *Env) int {
	err := execute(ctx, env)
	if err == nil || errors.Is(err, ui.ErrOutputClosed) {
		return exitOK
	}
	env.nothing(err)
	v, silent := view(err)
	if asJSON := wantsJSON(env); asJSON || !silent {
		env.Streams.ShowError(v, asJSON)
	}
	return v.ExitCode
}

// nothing is the answer of every command to a name that selects no VM, or several,
// where a script reads it: an empty array, unless something was printed or stdout
// belongs to a VM.
func (e *Env) nothing(err error) {
	if k := fleetKind(err); k == problem.NotFound || k == problem.Ambiguous {
		if e.format.Machine() && !e.foreign && !e.Streams.Answered() {
			_ = ui.Listing[struct{}]{}.Print(e.Streams, e.format, nil) // err says more than that a filter fits no array
		}
	}
}

// wantsJSON decides how an error is shown. The arguments are looked at
// themselves when parsing them is what failed.
func wantsJSON(env *Env) bool {
	if env.format.Machine() {
		return true
	}
	for i, a := range env.Args {
		switch {
		case a == "--":
			return false
		case a == "--json" || a == "-ojson" || a == "-o=json" || a == "--output=json" || a == "-ojsonl" || a == "-o=jsonl" || a == "--output=jsonl":
			return true
		case (a == "-o" || a == "--output") && i+1 < len(env.Args):
			return env.Args[i+1] == "json" || env.Args[i+1] == "jsonl"
		}
	}
	return false
}

// showPanic reports a bug. The value of a panic may hold anything, so only its
// type is told unless the Go runtime made it; the stack has no values.
func showPanic(env *Env, p any) int {
	why := fmt.Sprintf("a panic of type %T", p)
	if re, ok := p.(runtime.Error); ok {
		why = re.Error()
	}
	env.Streams.ShowError(local("unexpected", "internal error", why, "this is a bug; please report it with the lines below"), wantsJSON(env))
	env.Streams.Notef("vers-fleet %s %s %s/%s\n%s", env.Build.Version, env.Build.GoVersion, env.Build.OS, env.Build.Arch, debug.Stack())
	return exitUnexpected
}
