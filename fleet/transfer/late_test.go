//go:build unix

package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// slowVM is an evilVM some of whose commands take their time.
type slowVM struct {
	*evilVM
	slow slowly
	own  commands
}

type (
	slowly   = map[string]func(ctx context.Context, out, stderr io.Writer) (io.Writer, io.Writer)
	commands = map[string]func(ctx context.Context, stdin io.Reader, stdout io.Writer) error
)

func (vm *slowVM) Exec(ctx context.Context, cmd string, stdin io.Reader, stdout, stderr io.Writer) error {
	if own := vm.own[cmd]; own != nil {
		return own(ctx, stdin, stdout)
	}
	if slow := vm.slow[cmd]; slow != nil {
		stdout, stderr = slow(ctx, stdout, stderr)
	}
	return vm.evilVM.Exec(ctx, cmd, stdin, stdout, stderr)
}

// trickle writes free bytes at once, then one every five seconds.
type trickle struct {
	ctx  context.Context
	w    io.Writer
	free int
}

func (t *trickle) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m := min(t.free, len(p)-n)
		if t.free -= m; m == 0 {
			m = 1
			select {
			case <-time.After(5 * time.Second):
			case <-t.ctx.Done():
				return n, t.ctx.Err()
			}
		}
		if _, err := t.w.Write(p[n : n+m]); err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

func slowOut(free int) func(context.Context, io.Writer, io.Writer) (io.Writer, io.Writer) {
	return func(ctx context.Context, out, stderr io.Writer) (io.Writer, io.Writer) {
		return &trickle{ctx, out, free}, stderr
	}
}

func slowErr(ctx context.Context, out, stderr io.Writer) (io.Writer, io.Writer) {
	return out, &trickle{ctx, stderr, 1}
}

// hang reads nothing, says that it is ready, and nothing more.
func hang(ctx context.Context, _ io.Reader, stdout io.Writer) error {
	_, _ = io.WriteString(stdout, session.Ready)
	<-ctx.Done()
	return context.Cause(ctx)
}

// swallow takes all and says nothing.
func swallow(_ context.Context, stdin io.Reader, stdout io.Writer) error {
	_, _ = io.WriteString(stdout, session.Ready)
	_, err := io.Copy(io.Discard, stdin)
	return err
}

// lateIn runs a transfer with a clock of its own, and checks that it soon ends
// because the VM was late with something.
func lateIn(t *testing.T, what string, run func(ctx context.Context) (Summary, error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		sum, err := run(ctx)
		var late *session.LateError
		var lost *LostError
		if !errors.As(err, &late) || !errors.As(err, &lost) || late.What != what || strings.Contains(err.Error(), "connection") {
			t.Errorf("%v, not late with %s; %d files, failures %.3q", err, what, sum.Files, sum.Failures)
		}
		if took := time.Since(began); took > 20*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// A VM that brings a byte every five seconds, at whatever stage, is given up by
// name of what was late.
func TestPullFromAVMThatTrickles(t *testing.T) {
	head := len(session.Ready + "P\x00" + evilTools)
	many := func(vm *evilVM) {
		var more strings.Builder
		for i := range 200 {
			name := fmt.Sprintf("f%03d", i)
			vm.files["/w/"+name] = strings.Repeat(name, 100)
			more.WriteString(rec('f', name, 400, ""))
		}
		vm.listing = newEvil(more.String()).listing
	}
	for name, c := range map[string]struct {
		tools, what string
		vm          slowVM
		change      func(vm *evilVM)
	}{
		"the listing":    {evilTools, "the listing", slowVM{slow: slowly{session.RunScript: slowOut(head)}}, nil},
		"the first word": {evilTools, "the listing", slowVM{slow: slowly{session.RunScript: slowOut(0)}}, nil},
		"contents":       {evilTools, "contents", slowVM{slow: slowly{tarHashCmd: slowOut(100)}}, many},
		"hashes":         {evilTools, "hashes", slowVM{slow: slowly{tarHashCmd: slowErr, hashCmd: slowOut(100)}}, many},
		"contents apart": {apartTools, "contents", slowVM{slow: slowly{tarCmd: slowOut(100)}}, many},
		"hashes apart":   {apartTools, "hashes", slowVM{slow: slowly{hashCmd: slowOut(100)}}, many},
		"ranges": {evilTools, "contents", slowVM{own: commands{rangeCmd: hang}}, func(vm *evilVM) {
			vm.listing = newEvil(strings.Replace(rec('f', "large", 20<<20, ""), " 8\x00", " 40960\x00", 1)).listing
		}},
		"a file by itself": {evilTools, "contents", slowVM{own: commands{catCmd: hang}}, func(vm *evilVM) {
			vm.listing = newEvil(rec('f', "back\\slash", 20, "")).listing
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dest := t.TempDir()
			vm := c.vm
			vm.evilVM = newEvil("")
			vm.tools = c.tools
			if c.change != nil {
				c.change(vm.evilVM)
			}
			lateIn(t, c.what, func(ctx context.Context) (Summary, error) {
				dial := func(context.Context) (Conn, error) { return &vm, nil }
				return Pull(ctx, Remote{Conn: &vm, Redial: dial}, PullOptions{Paths: []string{"/w/"}, Dest: dest})
			})
		})
	}
}

func TestPushToAVMThatTrickles(t *testing.T) {
	for name, c := range map[string]struct {
		what string
		own  commands
	}{
		"the listing": {"the listing", commands{session.RunScript: hang}},
		"contents":    {"taking contents", commands{pushTarCmd: hang}},
		"hashes":      {"hashes", commands{pushTarCmd: swallow, hashCmd: hang}},
		"ranges":      {"taking contents", commands{pushTarCmd: swallow, pushRangeCmd: hang}},
		"renaming":    {"the renaming", commands{pushTarCmd: swallow, pushPlaceCmd: hang}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"a": "a", "b": strings.Repeat("b", 1<<20)}
			if name == "ranges" {
				files = map[string]string{"large": strings.Repeat("l", largePush)}
			}
			src := sources(t, files)
			vm := slowVM{evilVM: newEvil(""), own: c.own}
			vm.tools = "find\x00gnu\x00sha256sum\x00none\x00dd full tee\x00"
			if name == "renaming" {
				vm.tools = "find\x00gnu\x00none\x00none\x00dd tee\x00" // nothing is hashed, no ranges
			}
			vm.listing = func(w io.Writer) { _, _ = io.WriteString(w, "M0\x00M1\x00M2\x00") }
			lateIn(t, c.what, func(ctx context.Context) (Summary, error) {
				dial := func(context.Context) (Conn, error) { return &vm, nil }
				return Push(ctx, Remote{Conn: &vm, Redial: dial}, PushOptions{Sources: []string{src}, Dest: "in/"})
			})
		})
	}
}

// A connection that is given up because nothing came on it did not drop.
func TestLateIsNotDropped(t *testing.T) {
	if got := whyLost(&session.LateError{What: "contents"}); strings.Contains(got, "dropped") || !strings.Contains(got, "late with contents") {
		t.Errorf("got %q", got)
	}
	if got := whyLost(io.EOF); got != "the connection dropped" {
		t.Errorf("got %q", got)
	}
}
