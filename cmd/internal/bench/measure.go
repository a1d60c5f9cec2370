package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// result is what one contestant did in one table.
type result struct {
	name   string
	ours   bool
	floor  bool
	reuses bool // a connection that is open already
	times  []time.Duration
	remote []time.Duration // processor time on the VMs, where it can be known
	factor float64         // the whole takes this many times longer than was measured
	err    error
}

// scaled returns the sorted times of the whole data, in seconds.
func (r *result) scaled() []float64 {
	var seconds []float64
	for _, t := range r.times {
		seconds = append(seconds, t.Seconds()*r.factor)
	}
	slices.Sort(seconds)
	return seconds
}

func (r *result) median() float64 {
	s := r.scaled()
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

// entry is a contestant made ready for one table: how to run it once. Before
// and after are not timed; after checks what arrived.
type entry struct {
	result
	before func() error
	run    func(ctx context.Context) (*exec.Cmd, error)
	after  func(round int) error
	spent  time.Duration // of the VMs' processors by the run that ended last
}

// race runs all entries in turns, each round starting with another one. An
// entry that fails is out, with the reason recorded.
func (r *rig) race(ctx context.Context, rounds int, entries []*entry) error {
	for round := range rounds {
		for i := range entries {
			e := entries[(i+round)%len(entries)]
			if e.err != nil {
				continue
			}
			took, err := r.once(ctx, round, e)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if r.o.verbose {
				fmt.Fprintf(r.log, "  %-40s %8.3f s  %v\n", e.name, took.Seconds(), err)
			}
			if err != nil {
				e.err = err
				continue
			}
			e.times, e.remote = append(e.times, took), append(e.remote, e.spent)
		}
	}
	return nil
}

func (r *rig) once(ctx context.Context, round int, e *entry) (time.Duration, error) {
	if e.before != nil {
		if err := e.before(); err != nil {
			return 0, err
		}
	}
	cmd, err := e.run(ctx)
	if err != nil {
		return 0, err
	}
	before, idle := r.logins(), servers()
	took, err := timed(ctx, cmd, r.o.limit)
	e.spent = spentSince(idle)
	if err == nil {
		err = r.logins().fair(before, e.ours, e.reuses)
	}
	if err == nil && e.after != nil {
		err = e.after(round)
	}
	return took, err
}

// timed runs cmd in a process group of its own and returns how long it took.
func timed(ctx context.Context, cmd *exec.Cmd, limit time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	ownGroup(cmd)
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { killGroup(cmd) })
	defer stop()
	err := cmd.Wait()
	took := time.Since(start)
	if ctx.Err() != nil {
		return took, fmt.Errorf("given up after %v", took.Round(time.Second))
	}
	if err != nil {
		return took, fmt.Errorf("%w: %s", err, lastLine(stderr.String()))
	}
	return took, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	line := lines[len(lines)-1]
	if len(line) > 160 {
		line = strings.ToValidUTF8(line[:160], "") + "..."
	}
	return line
}

// missing tells which of the programs is not installed, if any.
func missing(programs []string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%s is not installed", p)
		}
	}
	return nil
}

// fresh empties a folder.
func fresh(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}
