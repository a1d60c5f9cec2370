package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// usage is what this program's sshd processes have done.
type usage struct {
	cpu      time.Duration // with all their children that have ended
	sessions int           // that are open
}

// servers reads the usage from /proc (proc(5)); nothing where there is none.
func servers() (u usage) {
	type process struct {
		parent string
		ticks  int64
	}
	all := map[string]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		pid, rest, ok := strings.Cut(string(text), " (sshd) ")
		f := strings.Fields(rest)
		if !ok || len(f) < 15 {
			continue
		}
		p := process{parent: f[1]}
		for _, field := range f[11:15] { // utime, stime, cutime, cstime
			n, _ := strconv.ParseInt(field, 10, 64)
			p.ticks += n
		}
		all[pid] = p
	}
	const perSecond = 100 // USER_HZ
	for _, p := range all {
		if p.parent == fmt.Sprint(os.Getpid()) {
			u.cpu += time.Duration(p.ticks) * time.Second / perSecond
		} else if parent, ok := all[p.parent]; ok && parent.parent == fmt.Sprint(os.Getpid()) {
			u.sessions++
		}
	}
	return u
}

// spentSince waits until the sessions of a run have ended, and returns the
// processor time they took: what a VM's commands cost is known once sshd has
// waited for them.
func spentSince(before usage) time.Duration {
	now := servers()
	for end := time.Now().Add(3 * time.Second); now.sessions > before.sessions && time.Now().Before(end); now = servers() {
		time.Sleep(10 * time.Millisecond)
	}
	return now.cpu - before.cpu
}

// remoteCPU is the median of what the VMs' processors spent on a run.
func (r *result) remoteCPU() string {
	if len(r.remote) == 0 {
		return "-"
	}
	all := slices.Sorted(slices.Values(r.remote))
	n := len(all)
	return seconds((all[(n-1)/2] + all[n/2]).Seconds() / 2 * r.factor)
}
