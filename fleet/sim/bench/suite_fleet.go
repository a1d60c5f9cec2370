package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshdtest"
)

// fleetSuite fetches 50 MB from one VM and then the same from twelve at once.
func fleetSuite(ctx context.Context, r *rig, out io.Writer) error {
	data := &set{name: "F", dir: filepath.Join(r.dir, "vm", "F"), factor: 1}
	for i := range r.maker.scale(50) {
		if err := data.add(fmt.Sprintf("part%02d.bin", i), r.maker.random(1e6)); err != nil {
			return err
		}
	}
	for _, rtt := range r.o.rtts {
		way, err := r.road(ctx, rtt)
		if err != nil {
			return err
		}
		for _, n := range []int{1, vmCount} {
			if err := r.pullMany(ctx, way, data, n, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rig) pullMany(ctx context.Context, way *road, data *set, n int, out io.Writer) error {
	vms := r.fleet.VMs[:n]
	t := &table{
		title: fmt.Sprintf("Pull from %d VMs at once, %v", n, way),
		about: fmt.Sprintf("%d MB in %d files from each", data.bytes/1e6, data.files),
	}
	if n == 1 {
		t.title = fmt.Sprintf("Pull from one VM, %v", way)
	}
	to := filepath.Join(r.dir, "to")
	defer os.RemoveAll(to)
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
	return r.measure(ctx, t, r.o.runs, out)
}

// manyContestant fetches one folder from several VMs into DEST/<vm name>/.
type manyContestant struct {
	name    string
	ours    bool
	needs   []string
	command func(r *rig, way *road, vms []*sshdtest.Server, from, to string) *exec.Cmd
}

func manyPullers() []manyContestant {
	sideBySide := func(script string) func(*rig, *road, []*sshdtest.Server, string, string) *exec.Cmd {
		return func(_ *rig, way *road, vms []*sshdtest.Server, from, to string) *exec.Cmd {
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
			command: func(r *rig, way *road, vms []*sshdtest.Server, from, to string) *exec.Cmd {
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

func freshEach(to string, vms []*sshdtest.Server) error {
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

func arrivedEach(from, to string, vms []*sshdtest.Server, contents bool) error {
	for _, vm := range vms {
		if err := arrived(from, filepath.Join(to, vm.Name, filepath.Base(from)), contents); err != nil {
			return fmt.Errorf("%s: %w", vm.Name, err)
		}
	}
	return nil
}
