package cmd

import (
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// toStdout as DEST is no folder but standard output.
const toStdout = "-"

// pullToStdout writes one file of one VM to stdout, and nothing else.
func pullToStdout(ctx context.Context, env *Env, f *fleet.Fleet, o pullOptions, items []remote.PullItem) error {
	if len(items) != 1 || len(items[0].Paths) != 1 || items[0].Paths[0] == "" {
		return usageError("- takes one file of one VM", "", "for example: vers-fleet pull marketing:/root/workspace/brief.md -; a folder of that name is ./-")
	}
	for _, flag := range o.given {
		if !slices.Contains([]string{"when-done", "dest", "label"}, flag) {
			return usageError("--"+flag+" does not go with -", "one file goes to stdout, and nothing into a folder", "leave it out, or pull into a folder")
		}
	}
	if o.whenDone {
		w := env.Streams.NewWaiter()
		_, err := awaitTask(ctx, env, f, items[0].VM, false, w.Start)
		if w.Stop(); err != nil {
			return err
		}
	}
	vm := items[0].VM
	var out io.Writer = env.Streams.Out
	show := func(_, _ int64) {}
	if env.Streams.OutTerminal() {
		clean := &cleanWriter{w: out}
		defer func() { _ = clean.flush() }()
		out = clean
	} else {
		progress := env.Streams.NewProgress()
		defer progress.Stop()
		show = func(done, total int64) {
			progress.Update(ui.Update{Key: vm.Title(), Done: done, Total: max(total, done)})
		}
	}
	return f.Remote.Cat(ctx, vm, items[0].Paths[0], out, show)
}

// cleanWriter passes text on to a terminal, which must not act on it.
type cleanWriter struct {
	w    io.Writer
	part []byte // of a line
}

func (c *cleanWriter) Write(p []byte) (int, error) {
	c.part = append(c.part, p...)
	end := bytes.LastIndexByte(c.part, '\n') + 1
	if end == 0 && len(c.part) > maxLine {
		end = len(c.part)
	}
	text := safe.Text(string(c.part[:end]))
	c.part = append([]byte(nil), c.part[end:]...)
	return len(p), writeText(c.w, text)
}

// flush writes the beginning of a line that did not end.
func (c *cleanWriter) flush() error { return writeText(c.w, safe.Text(string(c.part))) }

// end is flush that ends the line.
func (c *cleanWriter) end() error {
	if len(c.part) > 0 {
		c.part = append(c.part, '\n')
	}
	return c.flush()
}
