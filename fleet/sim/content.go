package sim

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
)

const workspace = "/root/workspace"

// content writes a VM's first files. The first error stays in err and ends it.
type content struct {
	fs  *box.FS
	vm  *VM
	now time.Time
	n   int // files so far, for their times
	err error
}

// file writes one file with a time of its own, to the nanosecond.
func (c *content) file(name string, data []byte, mode fs.FileMode) {
	if c.err != nil {
		return
	}
	if c.err = c.fs.MkdirAll(path.Dir(name), 0o755); c.err != nil {
		return
	}
	if c.err = c.fs.WriteFile(name, data, 0o644); c.err != nil {
		return
	}
	if c.err = c.fs.Chmod(name, mode); c.err != nil {
		return
	}
	c.n++
	when := c.now.Add(-3*time.Hour + time.Duration(c.n)*41*time.Second + time.Duration(c.n*7919%1000000)*time.Nanosecond)
	c.err = c.fs.Chtimes(name, when, when)
}

func (c *content) text(name, text string) { c.file(name, []byte(text), 0o644) }

func (c *content) dir(name string) {
	if c.err == nil {
		c.err = c.fs.MkdirAll(name, 0o755)
	}
}

func (c *content) link(target, name string) {
	if c.err == nil {
		c.err = c.fs.Symlink(target, name)
	}
}

// system writes what every Linux machine has.
func (c *content) system() {
	for _, dir := range []string{"/bin", "/etc", "/home", "/opt", "/proc", "/run", "/tmp", "/usr/bin", "/usr/local/bin", "/var/log", "/var/tmp", "/root/.ssh"} {
		c.dir(dir)
	}
	c.text("/etc/hostname", c.vm.hostname()+"\n")
	c.text("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 "+c.vm.hostname()+"\n")
	c.text("/etc/os-release", "PRETTY_NAME=\"Simulated Linux (vers-fleet sim)\"\nNAME=\"Simulated Linux\"\nID=debian\nID_LIKE=debian\nVERSION_ID=\"13\"\n")
	c.text("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n")
	c.text("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
	c.text("/proc/uptime", "180000.00 700000.00\n")
	c.text("/proc/loadavg", "0.08 0.03 0.01 1/120 4242\n")
	c.text("/root/.bashrc", "# simulated\nalias ll='ls -l'\n")
	c.text("/var/log/syslog", logLines(c.vm.hostname(), c.vm.created, 200))
	if key, err := c.vm.keyPair(); err == nil {
		c.file("/root/.ssh/authorized_keys", []byte(key.line()), 0o600)
	}
	for name, mode := range map[string]fs.FileMode{"/tmp": 0o777 | fs.ModeSticky, "/root": 0o700, "/root/.ssh": 0o700} {
		if c.err == nil {
			c.err = c.fs.Chmod(name, mode)
		}
	}
}

// workspace writes the work of a VM of this kind.
func (c *content) workspace() {
	c.dir(workspace)
	switch c.vm.kind {
	case "images":
		c.images(workspace+"/images", "campaign", 8)
		c.text(workspace+"/brief.md", "# Spring campaign\n\nSix hero images, two banners, copy in three tones.\n")
		c.text(workspace+"/copy/tagline (final).txt", "Branch your whole machine.\n")
		c.link("images/campaign-08.png", workspace+"/latest.png")
		c.tree(workspace+"/generator", 12)
	case "site":
		c.tree(workspace+"/dashboard", 40)
		c.images(workspace+"/dashboard/public", "screen", 3)
		c.link(workspace+"/dashboard", workspace+"/current")
	case "code":
		c.tree(workspace+"/app", 60)
		c.images(workspace+"/app/docs", "diagram", 2)
		c.link("app", workspace+"/src")
	case "report":
		c.text(workspace+"/findings/2026-02-24 outage.md", "# What happened\n\n"+strings.Repeat("All endpoints answered 503.\n", 40))
		c.text(workspace+"/findings/résumé.md", "# Summary\n\nThe keys came only from the API.\n")
		c.images(workspace+"/findings/charts", "latency", 4)
		c.link("findings", workspace+"/out")
	default:
		c.text(workspace+"/README", "Support VM "+c.vm.hostname()+".\n")
		c.tree(workspace+"/service", 8)
	}
	c.text(workspace+"/logs/agent.log", logLines("agent", c.vm.created, 1500))
	c.text(workspace+"/logs/build.log", logLines("build", c.vm.created, 600))
	c.file(workspace+"/run.sh", []byte("#!/bin/sh\necho running on $(hostname)\n"), 0o755)
	c.dir(workspace + "/empty")
	c.file(workspace+"/.gitignore", []byte("node_modules/\n*.tmp\n"), 0o644)
}

// images writes n real PNG files.
func (c *content) images(dir, prefix string, n int) {
	for i := 1; i <= n && c.err == nil; i++ {
		name := fmt.Sprintf("%s/%s-%02d.png", dir, prefix, i)
		data, err := picture(c.vm.id+name, 240+20*i, 160+10*i)
		if err != nil {
			c.err = err
			return
		}
		c.file(name, data, 0o644)
	}
}

// tree writes a source tree of about n files.
func (c *content) tree(dir string, n int) {
	for i := range n {
		name := fmt.Sprintf("%s/pkg%d/file%02d.go", dir, i%7, i)
		var b strings.Builder
		fmt.Fprintf(&b, "// Package pkg%d is a part of %s.\npackage pkg%d\n", i%7, path.Base(dir), i%7)
		for f := range 5 + i%9 {
			fmt.Fprintf(&b, "\n// F%d adds.\nfunc F%d(a, b int) int { return a + b + %d }\n", f, f, f*i)
		}
		c.text(name, b.String())
	}
	c.text(dir+"/go.mod", "module example.org/"+path.Base(dir)+"\n\ngo 1.26\n")
	c.file(dir+"/build.sh", []byte("#!/bin/sh\nset -e\necho building\n"), 0o755)
}

// picture draws a PNG that differs for each name.
func picture(name string, w, h int) ([]byte, error) {
	seed := uint64(14695981039346656037)
	for _, b := range []byte(name) {
		seed = (seed ^ uint64(b)) * 1099511628211
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	base := [3]int{rng.IntN(200), rng.IntN(200), rng.IntN(200)}
	colors := make(color.Palette, 256)
	for i := range colors {
		colors[i] = color.RGBA{R: uint8(base[0] + i/5), G: uint8(base[1] + i/7), B: uint8(base[2] + i/20), A: 255}
	}
	img := image.NewPaletted(image.Rect(0, 0, w, h), colors)
	for i := range img.Pix { // a shade from corner to corner, with noise
		img.Pix[i] = uint8((i%w*120/w + i/w*120/h)) + uint8(rng.Uint32()&15)
	}
	var buf bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	err := encoder.Encode(&buf, img)
	return buf.Bytes(), err
}

// logLines makes a log that looks like one.
func logLines(unit string, from time.Time, n int) string {
	var b strings.Builder
	for i := range n {
		at := from.Add(time.Duration(i) * 13 * time.Second)
		fmt.Fprintf(&b, "%s %s[%d]: step %d done in %d ms\n", at.UTC().Format(time.RFC3339), unit, 400+i%5, i, 20+i*37%900)
	}
	return b.String()
}

// resident describes one VM of the fleet that a simulator starts with.
type resident struct {
	name, role, kind, image string
	busy                    bool
}

// residents are the twelve VMs of the outage: six lieutenants, of which the
// report names five, and support VMs.
func residents() []resident {
	return []resident{
		{name: "chad-dev", role: "lieutenant", kind: "code", image: "lieutenant", busy: true},
		{name: "chad-fix", role: "lieutenant", kind: "code", image: "lieutenant"},
		{name: "infra-ui", role: "lieutenant", kind: "site", image: "lieutenant"},
		{name: "marketing", role: "lieutenant", kind: "images", image: "lieutenant", busy: true},
		{name: "investigator", role: "lieutenant", kind: "report", image: "lieutenant"},
		{name: "docs-writer", role: "lieutenant", kind: "report", image: "lieutenant"},
		{name: "golden", role: "golden", kind: "support", image: "base"},
		{name: "registry", role: "infra", kind: "support", image: "base"},
		{name: "build-cache", role: "infra", kind: "support", image: "base"},
		{name: "metrics", role: "infra", kind: "support", image: "base"},
		{name: "runner-1", role: "worker", kind: "support", image: "worker"},
		{name: "runner-2", role: "worker", kind: "support", image: "worker"},
	}
}

// makeFleet registers the configured number of VMs without making any files.
func (s *Sim) makeFleet() {
	known := residents()
	start := s.now().Add(-50 * time.Hour).UTC().Truncate(time.Microsecond)
	for i := range s.cfg.VMs {
		r := resident{name: fmt.Sprintf("worker-%04d", i+1), role: "worker", kind: "support", image: "worker"}
		if i < len(known) {
			r = known[i]
		}
		id := s.uuid(fmt.Sprintf("vm %d", i))
		if r.name == "marketing" {
			id = MarketingID
		}
		vm := &VM{id: id, image: r.image, kind: r.kind, created: start.Add(time.Duration(i) * 137 * time.Second)}
		if s.cfg.Unlabelled && r.role == "lieutenant" {
			vm.nick, vm.duty = r.name, r.role
		} else {
			vm.labels = map[string]string{"name": r.name, "role": r.role}
		}
		s.addVM(vm)
	}
}

// addVM registers a VM that runs from now on.
func (s *Sim) addVM(vm *VM) {
	vm.sim, vm.state = s, StateRunning
	s.mu.Lock()
	vm.index = len(s.order)
	s.vms[vm.id] = vm
	s.order = append(s.order, vm)
	s.mu.Unlock()
}

// busy reports whether a lieutenant of the first fleet is at work from the
// beginning.
func (vm *VM) busy() bool {
	known := residents()
	return vm.index < len(known) && known[vm.index].busy
}

func (vm *VM) deletedAt() time.Time {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.deleted
}
