package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fleetSuite fetches 50 MB from each of twelve VMs at once, and the same bytes
// from one VM.
func fleetSuite(ctx context.Context, r *rig, out io.Writer) error {
	part, err := r.fleetSet("F", 1)
	if err != nil {
		return err
	}
	whole, err := r.fleetSet("F12", vmCount)
	if err != nil {
		return err
	}
	for _, rtt := range r.o.rtts {
		way, err := r.road(ctx, rtt)
		if err != nil {
			return err
		}
		one, err := r.pullMany(ctx, way, whole, 1, out)
		if err != nil {
			return err
		}
		many, err := r.pullMany(ctx, way, part, vmCount, out)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, manyToOne(many, one)); err != nil {
			return err
		}
	}
	return nil
}

// fleetSet makes what vms VMs have.
func (r *rig) fleetSet(name string, vms int) (*set, error) {
	data := &set{name: name, dir: filepath.Join(r.dir, "vm", name), factor: 1}
	for i := range r.maker.scale(50) * vms {
		if err := data.add(fmt.Sprintf("part%03d.bin", i), r.maker.random(1e6)); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// manyToOne sets the pull from many VMs against the fastest way to fetch the same
// bytes from one.
func manyToOne(many, one *table) string {
	name, best := one.fastest(func(*entry) bool { return true })
	var b strings.Builder
	for _, e := range many.entries {
		if e.err == nil && len(e.times) > 0 {
			fmt.Fprintf(&b, "%s, %s: %s of what the same bytes take from one VM (%s, %s s)\n\n",
				many.title, e.name, ratio(e.median(), best), name, seconds(best))
		}
	}
	return b.String()
}

func (r *rig) pullMany(ctx context.Context, way *road, data *set, n int, out io.Writer) (*table, error) {
	vms := r.vms[:n]
	t := &table{
		title: fmt.Sprintf("Pull from %d VMs at once, %v", n, way),
		about: fmt.Sprintf("%d MB in %d files from each", data.bytes/1e6, data.files),
	}
	if n == 1 {
		t.title = fmt.Sprintf("Pull the bytes of %d VMs from one, %v", vmCount, way)
		t.about = fmt.Sprintf("%d MB in %d files", data.bytes/1e6, data.files)
	}
	to := filepath.Join(r.dir, "to")
	defer func() { _ = os.RemoveAll(to) }()
	for _, c := range manyPullers() {
		if !r.o.wanted(c.name) {
			continue
		}
		t.entries = append(t.entries, &entry{
			result: result{name: c.name, ours: c.ours, factor: 1, err: r.lacking(c.ours, c.needs)},
			before: func() error { return freshEach(to, vms) },
			run: func(context.Context) (*exec.Cmd, error) {
				return c.command(r, way, vms, data.dir, to), nil
			},
			after: func(round int) error { return arrivedEach(data.dir, to, vms, round == 0) },
		})
	}
	return t, r.measure(ctx, t, r.o.runs, out)
}

// manyContestant fetches one folder from several VMs into DEST/<vm name>/.
type manyContestant struct {
	name    string
	ours    bool
	needs   []string
	command func(r *rig, way *road, vms []*vm, from, to string) *exec.Cmd
}

func manyPullers() []manyContestant {
	sideBySide := func(script string) func(*rig, *road, []*vm, string, string) *exec.Cmd {
		return func(_ *rig, way *road, vms []*vm, from, to string) *exec.Cmd {
			args := []string{way.config, from, to}
			for _, vm := range vms {
				args = append(args, vm.Name)
			}
			return shell(`export conf=$1 from=$2 to=$3; shift 3; printf '%s\n' "$@" | xargs -P 64 -I{} bash -c 'set -o pipefail; `+
				script+`' bash {}`, args...)
		}
	}
	return []manyContestant{
		{name: "rsync -a, all at once", needs: []string{"rsync", "bash", "xargs"},
			command: sideBySide(`rsync -a -e "ssh -F $conf" "$1:$from" "$to/$1/"`)},
		{name: "ssh tar | tar, all at once", needs: []string{"tar", "bash", "xargs"},
			command: sideBySide(`ssh -F "$conf" "$1" "tar -C ${from%/*} -cf - ${from##*/}" | tar -C "$to/$1" -xf -`)},
		{name: "vers-fleet pull", ours: true,
			command: func(r *rig, way *road, vms []*vm, from, to string) *exec.Cmd {
				args := []string{"pull"}
				for _, vm := range vms {
					args = append(args, vm.Name+":"+from)
				}
				if len(vms) == 1 { // one VM gets no folder of its own
					to = filepath.Join(to, vms[0].Name)
				}
				cmd := exec.Command(r.binary, append(args, to)...)
				cmd.Env = way.env
				return cmd
			}},
	}
}

func freshEach(to string, vms []*vm) error {
	if err := fresh(to); err != nil {
		return err
	}
	for _, vm := range vms {
		if err := os.MkdirAll(filepath.Join(to, vm.Name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func arrivedEach(from, to string, vms []*vm, contents bool) error {
	for _, vm := range vms {
		if err := arrived(from, filepath.Join(to, vm.Name, filepath.Base(from)), contents); err != nil {
			return fmt.Errorf("%s: %w", vm.Name, err)
		}
	}
	return nil
}
