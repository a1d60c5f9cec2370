package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// pushers lists the ways to send a folder to one VM, peers first. A job's from
// is here and its to on the VM.
func pushers() []contestant {
	return []contestant{
		{name: "scp", perFile: true, needs: []string{"scp"}, command: func(j job) *exec.Cmd {
			return exec.Command("scp", "-q", "-r", "-F", j.road.config, j.from, j.vm()+":"+j.to)
		}},
		{name: "rsync -a", needs: []string{"rsync"}, command: func(j job) *exec.Cmd {
			return exec.Command("rsync", "-a", "-e", "ssh -F "+j.road.config, j.from, j.vm()+":"+j.to)
		}},
		{name: "tar | ssh tar", needs: []string{"tar", "bash"}, command: func(j job) *exec.Cmd {
			return shell(`tar -C "$3" -cf - "$4" | ssh -F "$1" "$2" "tar -C '$5' -xf -"`,
				j.road.config, j.vm(), filepath.Dir(j.from), filepath.Base(j.from), j.to)
		}},
		{name: "tar | zstd -1 | ssh tar", needs: []string{"tar", "bash", "zstd"}, command: func(j job) *exec.Cmd {
			return shell(`tar -C "$3" -cf - "$4" | zstd -1 -q -c | ssh -F "$1" "$2" "zstd -d -q -c | tar -C '$5' -xf -"`,
				j.road.config, j.vm(), filepath.Dir(j.from), filepath.Base(j.from), j.to)
		}},
		{name: "vers-fleet push", ours: true, command: func(j job) *exec.Cmd {
			cmd := exec.Command(j.rig.binary, "push", j.from, j.vm()+":"+j.to+"/")
			cmd.Env = j.road.env
			return cmd
		}},
	}
}

// pushSuite sends each data set into an empty folder of the VM.
func pushSuite(ctx context.Context, r *rig, out io.Writer) error {
	return r.each(ctx, func(way *road, data *set) error {
		t := &table{title: fmt.Sprintf("Push %s, %v", data.name, way), about: data.about}
		to := filepath.Join(r.dir, "to")
		defer func() { _ = os.RemoveAll(to) }()
		for _, c := range pushers() {
			if !r.o.wanted(c.name) {
				continue
			}
			e := r.entry(c, way, data, to)
			e.before = func() error { return fresh(to) }
			t.entries = append(t.entries, e)
		}
		return r.measure(ctx, t, r.o.runs, out)
	})
}
