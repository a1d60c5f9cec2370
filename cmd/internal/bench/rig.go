package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// vmCount is the size of the fleet in the outage report.
const vmCount = 12

// rig is everything that is measured against: VMs, data, roads to them.
type rig struct {
	o      options
	dir    string
	sim    *sim.Sim
	vms    []*vm
	binary string
	noBin  error // why there is no vers-fleet to measure
	maker  *maker
	sets   map[string]*set
	roads  map[time.Duration]*road
	log    io.Writer
	tables []*table
}

func newRig(ctx context.Context, o options, log io.Writer) (*rig, error) {
	base := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		base = "/dev/shm" // memory: the disk is not what is measured
	}
	dir, err := os.MkdirTemp(base, "vers-fleet-bench-")
	if err != nil {
		return nil, err
	}
	r := &rig{
		o: o, dir: dir, log: log, maker: newMaker(filepath.Join(dir, "vm"), o.quick),
		sets: map[string]*set{}, roads: map[time.Duration]*road{},
	}
	if r.sim, err = newPlatform(ctx, dir, o.bashrc); err != nil {
		r.close()
		return nil, err
	}
	for _, of := range r.sim.VMs() {
		made, err := newVM(r.sim, of)
		if err != nil {
			r.close()
			return nil, err
		}
		r.vms = append(r.vms, made)
	}
	if r.binary = o.binary; r.binary == "" {
		r.binary = filepath.Join(dir, "vers-fleet")
		r.noBin = build(ctx, r.binary)
	}
	if r.noBin != nil {
		fmt.Fprintln(log, "vers-fleet is left out:", r.noBin)
	}
	return r, nil
}

func build(ctx context.Context, path string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s", "-o", path, "github.com/vers-fleet/vers-fleet").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w: %s", err, lastLine(string(out)))
	}
	return nil
}

func (r *rig) close() {
	var err error
	for _, road := range r.roads {
		road.close()
	}
	if r.sim != nil {
		err = errors.Join(err, r.sim.Close())
	}
	if err := errors.Join(err, os.RemoveAll(r.dir)); err != nil {
		fmt.Fprintln(r.log, "bench:", err)
	}
}

// set returns the named data, made on first use.
func (r *rig) set(name string, far bool) (*set, error) {
	key := fmt.Sprint(name, far && name == "A")
	if r.sets[key] == nil {
		made, err := r.maker.make(name, far)
		if err != nil {
			return nil, err
		}
		r.sets[key] = made
	}
	return r.sets[key], nil
}
