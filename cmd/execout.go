package cmd

import (
	"bytes"
	"io"
	"strconv"
	"sync"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
)

// execOutput puts the output of many commands together: unchanged for one VM,
// else line by line with the VM's name, in groups, or as JSON.
type execOutput struct {
	env    *Env
	single bool
	group  bool
	width  int
	mu     sync.Mutex
	kept   map[string]*execKept
	open   map[string][]*lineWriter
	err    error // the first failure of writing
}

// execKept is a VM's output while it is collected.
type execKept struct{ stdout, stderr cappedBuffer }

func newExecOutput(env *Env, vms []fleet.VM, group bool) *execOutput {
	o := &execOutput{env: env, single: len(vms) == 1, group: group, kept: map[string]*execKept{}, open: map[string][]*lineWriter{}}
	for _, vm := range vms {
		o.width = max(o.width, ui.Width(vm.Title()))
	}
	return o
}

// streams returns where a VM's output goes. It is called from the VM's own
// goroutine.
func (o *execOutput) streams(vm fleet.VM) (stdout, stderr io.Writer) {
	s := o.env.Streams
	switch {
	case o.group || o.env.Format().Machine():
		k := &execKept{}
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

// done prints what was collected of one VM. Calls do not overlap.
func (o *execOutput) done(r fleet.ExecResult) {
	s := o.env.Streams
	o.mu.Lock()
	open := o.open[r.VMID]
	o.mu.Unlock()
	for _, w := range open {
		o.keep(w.Close())
	}
	switch {
	case o.env.Format().Lines():
		o.keep(ui.PrintLine(s, o.line(r)))
	case o.env.Format().Machine():
	case o.group:
		k := o.of(r.VMID)
		o.keep(writeText(s.Out, "==> "+ui.Clean(orID(r.VMName, r.VMID))+" <==\n"))
		o.keep(writeText(s.Out, ui.CleanText(k.stdout.String())))
		o.keep(writeText(s.Err, ui.CleanText(k.stderr.String())))
	}
	if r.Err != nil && !o.single && !o.env.Format().Machine() {
		s.Warnf("%s: %s", orID(r.VMName, r.VMID), r.Error)
	}
}

// finish prints the JSON document, and returns the first failure of writing.
func (o *execOutput) finish(results []fleet.ExecResult) error {
	if f := o.env.Format(); f.Machine() && !f.Lines() {
		lines := make([]execLine, len(results))
		for i, r := range results {
			lines[i] = o.line(r)
		}
		o.keep(execListing().Print(o.env.Streams, f, lines))
	}
	return o.err
}

func (o *execOutput) line(r fleet.ExecResult) execLine {
	k := o.of(r.VMID)
	return execLine{ExecResult: r, Stdout: k.stdout.String(), Stderr: k.stderr.String()}
}

func (o *execOutput) of(id string) *execKept {
	o.mu.Lock()
	defer o.mu.Unlock()
	if k := o.kept[id]; k != nil {
		return k
	}
	return &execKept{}
}

func (o *execOutput) keep(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
}

// lineWriter passes whole lines on, each with its VM's name. It belongs to one
// goroutine; only writing a line takes the lock.
type lineWriter struct {
	o     *execOutput
	w     io.Writer
	style ui.Styler
	vm    fleet.VM
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
	name := ui.Clean(l.vm.Title())
	for ui.Width(name) < l.o.width {
		name += " "
	}
	return writeText(l.w, l.style.Apply(ui.Strong, name)+" | "+ui.Clean(line)+"\n")
}

// cappedBuffer keeps the first maxKept bytes, so that a VM cannot fill the
// memory.
type cappedBuffer struct {
	bytes.Buffer
	dropped int64
}

const maxKept = 16 << 20

func (b *cappedBuffer) Write(p []byte) (int, error) {
	room := maxKept - b.Len()
	if room < len(p) {
		b.dropped += int64(len(p) - room)
		b.Buffer.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// String says when something was left out.
func (b *cappedBuffer) String() string {
	if b.dropped > 0 {
		return b.Buffer.String() + "\n[" + ui.Bytes(b.dropped) + " left out]\n"
	}
	return b.Buffer.String()
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
