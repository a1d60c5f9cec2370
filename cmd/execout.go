package cmd

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// execOutput puts the output of many commands together: unchanged for one VM,
// else line by line with the VM's name, in groups, or as JSON.
type execOutput struct {
	env    *Env
	stop   func() // ends everything: nobody can be told any more
	single bool
	group  bool
	width  int
	most   int      // bytes kept of each stream
	cut    []string // VMs of whose output a part was left out
	mu     sync.Mutex
	kept   map[string]*execKept
	open   map[string][]*lineWriter
	err    error // the first failure of writing
}

func newExecOutput(env *Env, vms []inventory.VM, group bool, stop func()) *execOutput {
	o := &execOutput{env: env, stop: stop, single: len(vms) == 1, group: group,
		most: min(maxKept, maxKeptAll/max(1, len(vms))), kept: map[string]*execKept{}, open: map[string][]*lineWriter{}}
	for _, vm := range vms {
		o.width = max(o.width, ui.Width(vm.Title()))
	}
	return o
}

// streams returns where a VM's output goes. It is called from the VM's own
// goroutine.
func (o *execOutput) streams(vm inventory.VM) (stdout, stderr io.Writer) {
	s := o.env.Streams
	switch {
	case o.group || o.env.Format().Machine():
		spill := !o.env.Format().Machine()
		k := &execKept{keptStream{most: o.most, spill: spill}, keptStream{most: o.most, spill: spill}}
		o.mu.Lock()
		o.kept[vm.ID] = k
		o.mu.Unlock()
		return &k.stdout, &k.stderr
	case o.single:
		return s.Out, s.Err
	}
	out := &lineWriter{o: o, w: s.Out, style: s.OutStyle(), vm: vm}
	errs := &lineWriter{o: o, w: s.Err, style: s.ErrStyle(), vm: vm}
	o.mu.Lock()
	o.open[vm.ID] = []*lineWriter{out, errs}
	o.mu.Unlock()
	return out, errs
}

// banner shows what a VM's SSH server says before the login: on stderr, whatever
// becomes of the command's own.
func (o *execOutput) banner(vm inventory.VM, text string) {
	s := o.env.Streams
	switch {
	case s.Quiet():
	case o.single:
		o.keep(writeText(s.Err, text))
	default:
		l := &lineWriter{o: o, w: s.Err, style: s.ErrStyle(), vm: vm}
		_, _ = l.Write([]byte(text)) // emit keeps the error
	}
}

// done prints what was collected of one VM. Calls do not overlap.
func (o *execOutput) done(r remote.ExecResult) {
	s := o.env.Streams
	o.mu.Lock()
	open := o.open[r.VMID]
	o.mu.Unlock()
	for _, w := range open {
		_ = w.Close() // emit keeps the error
	}
	switch {
	case o.env.Format().Lines():
		o.keep(ui.PrintLine(s, o.line(r)))
	case o.env.Format().Machine():
	case o.group:
		k := o.take(r.VMID)
		o.keep(writeText(s.Out, "==> "+safe.Clean(orID(r.VMName, r.VMID))+" <==\n"))
		o.keep(k.stdout.copyLines(s.Out))
		o.keep(k.stderr.copyLines(s.Err))
	}
	if r.Err != nil && !errors.Is(r.Err, problem.ErrStopped) && !problem.OfAll(r.Err) && !o.single && !o.failed() && !o.env.Format().Machine() {
		s.Warnf("%s: %s", orID(r.VMName, r.VMID), r.Error)
	}
}

// finish prints the JSON document, and returns the first failure of writing, or
// that not all was printed.
func (o *execOutput) finish(results []remote.ExecResult) error {
	if f := o.env.Format(); f.Machine() && !f.Lines() {
		lines := make([]execLine, len(results))
		for i, r := range results {
			lines[i] = o.line(r)
		}
		o.keep(execListing().Print(o.env.Streams, f, lines))
	}
	if o.err == nil && len(o.cut) > 0 {
		return cutError(o.cut, len(results))
	}
	return o.err
}

// cutError says that a part of what VMs printed was left out.
func cutError(names []string, vms int) error {
	return &problem.Error{Kind: problem.Partial, What: "the output of " + problem.CountOf(len(names), vms) + " is not whole", Why: "JSON holds only the beginning: " + strings.Join(names, ", "),
		Next: "let the command write a file, and fetch it with: vers-fleet pull", Origin: problem.OriginLocal}
}

// line is a VM's element of the JSON form. What is left out of it is told there
// and on stderr, and finish makes it an error.
func (o *execOutput) line(r remote.ExecResult) execLine {
	k := o.take(r.VMID)
	l := execLine{ExecResult: r, Stdout: k.stdout.text(), Stderr: k.stderr.text()}
	l.StdoutBase64, l.StderrBase64 = safe.Bytes(l.Stdout), safe.Bytes(l.Stderr)
	if l.Truncated = k.stdout.cut() || k.stderr.cut(); l.Truncated {
		l.StdoutBytes, l.StderrBytes = k.stdout.size, k.stderr.size
		o.cut = append(o.cut, orID(r.VMName, r.VMID))
		o.env.Streams.Warnf("%s: only the first %s of its output are in the JSON", orID(r.VMName, r.VMID), ui.Bytes(int64(o.most)))
	}
	return l
}

// take hands out what was collected of a VM, and lets go of it.
func (o *execOutput) take(id string) *execKept {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer delete(o.kept, id)
	if k := o.kept[id]; k != nil {
		return k
	}
	return &execKept{}
}

func (o *execOutput) keep(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.note(err)
}

// note is keep with the lock held.
func (o *execOutput) note(err error) {
	if err != nil && o.err == nil {
		o.err = err
		o.stop()
	}
}

// failed reports whether writing failed.
func (o *execOutput) failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err != nil
}

// lineWriter passes whole lines on, each with its VM's name. It belongs to one
// goroutine; only writing a line takes the lock.
type lineWriter struct {
	o     *execOutput
	w     io.Writer
	style ui.Styler
	vm    inventory.VM
	part  []byte
}

// maxLine bounds an unfinished line; a longer one is passed on in pieces.
const maxLine = 64 << 10

func (l *lineWriter) Write(p []byte) (int, error) {
	l.part = append(l.part, p...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 && len(l.part) < maxLine {
			return len(p), nil
		}
		end := i + 1
		if i < 0 {
			i, end = maxLine, maxLine
		}
		err := l.emit(string(l.part[:i]))
		l.part = l.part[end:]
		if err != nil {
			return 0, err
		}
	}
}

// Close passes an unfinished last line on.
func (l *lineWriter) Close() error {
	if len(l.part) == 0 {
		return nil
	}
	defer func() { l.part = nil }()
	return l.emit(string(l.part))
}

func (l *lineWriter) emit(line string) error {
	l.o.mu.Lock()
	defer l.o.mu.Unlock()
	name := safe.Clean(l.vm.Title())
	for ui.Width(name) < l.o.width {
		name += " "
	}
	err := writeText(l.w, l.style.Apply(ui.Strong, name)+" | "+safe.Clean(line)+"\n")
	l.o.note(err)
	return err
}

func writeText(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

func printLine(env *Env, s string) error { return writeText(env.Streams.Out, s+"\n") }

func itoa(n int) string { return strconv.Itoa(n) }

func orID(name, id string) string {
	if name != "" {
		return name
	}
	return id
}
