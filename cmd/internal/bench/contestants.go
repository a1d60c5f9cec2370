package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// contestant is one way to fetch a folder from one VM.
type contestant struct {
	name string
	ours bool
	// floor marks what is no peer but a bound, such as a local copy.
	floor bool
	// perFile says that it waits for a round trip per file, so that at a
	// distance it gets a part of the data.
	perFile bool
	needs   []string // programs
	command func(j job) *exec.Cmd
}

// job is one run of a contestant.
type job struct {
	rig  *rig
	road *road
	from string // folder on the VM
	to   string // existing local folder that it lands in
}

func (j job) vm() string { return j.rig.vms[0].Name }

// shell runs a pipeline that fails if any part of it does.
func shell(script string, args ...string) *exec.Cmd {
	return exec.Command("bash", append([]string{"-c", "set -o pipefail; " + script, "bash"}, args...)...)
}

// pullers lists the contestants, peers first.
func pullers() []contestant {
	return []contestant{
		{name: "scp", perFile: true, needs: []string{"scp"}, command: func(j job) *exec.Cmd {
			return exec.Command("scp", "-q", "-r", "-F", j.road.config, j.vm()+":"+j.from, j.to)
		}},
		{name: "sftp -r", perFile: true, needs: []string{"sftp"}, command: func(j job) *exec.Cmd {
			cmd := exec.Command("sftp", "-q", "-F", j.road.config, "-b", "-", j.vm())
			cmd.Stdin = strings.NewReader("get -r \"" + j.from + "\" \"" + j.to + "\"\n")
			return cmd
		}},
		{name: "rsync -a", needs: []string{"rsync"}, command: rsync},
		{name: "rclone sftp", perFile: true, needs: []string{"rclone"}, command: rclone},
		{name: "ssh tar | tar", needs: []string{"tar", "bash"}, command: func(j job) *exec.Cmd {
			return shell(`ssh -F "$1" "$2" "tar -C '$3' -cf - '$4'" | tar -C "$5" -xf -`,
				j.road.config, j.vm(), filepath.Dir(j.from), filepath.Base(j.from), j.to)
		}},
		{name: "ssh tar | zstd -1", needs: []string{"tar", "bash", "zstd"}, command: func(j job) *exec.Cmd {
			return shell(`ssh -F "$1" "$2" "tar -C '$3' -cf - '$4' | zstd -1 -q -c" | zstd -d -q -c | tar -C "$5" -xf -`,
				j.road.config, j.vm(), filepath.Dir(j.from), filepath.Base(j.from), j.to)
		}},
		{name: "Vers CLI way (sequential SFTP walk)", perFile: true, command: sequentialWalk},
		{name: "vers-fleet pull", ours: true, command: func(j job) *exec.Cmd {
			cmd := exec.Command(j.rig.binary, "pull", j.vm()+":"+j.from, j.to)
			cmd.Env = j.road.env
			return cmd
		}},
		{name: "local cp -a (floor)", floor: true, needs: []string{"cp"}, command: func(j job) *exec.Cmd {
			return exec.Command("cp", "-a", j.from, j.to)
		}},
	}
}

func rsync(j job) *exec.Cmd {
	return exec.Command("rsync", "-a", "-e", "ssh -F "+j.road.config, j.vm()+":"+j.from, j.to)
}

// rclone copies a folder's contents, so the folder is named on both sides. Its
// own SSH goes over the bridge.
func rclone(j job) *exec.Cmd {
	vm := j.rig.vms[0]
	host, port, _ := strings.Cut(j.road.bridge.addr, ":")
	return exec.Command("rclone", "copy", "--config", "/dev/null", "--quiet",
		"--sftp-host", host, "--sftp-port", port, "--sftp-user", vm.User, "--sftp-key-file", vm.KeyFile,
		"--transfers", "16", "--checkers", "16",
		"--sftp-disable-hashcheck", // else it runs md5sum on the VM for every file
		":sftp:"+j.from, filepath.Join(j.to, filepath.Base(j.from)))
}

func sequentialWalk(j job) *exec.Cmd {
	args := append(innerArgs(walkCommand, j.road, j.rig.vms[0]), "-from", j.from, "-to", j.to)
	return exec.Command(self(), args...)
}

// self is the path of this program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
