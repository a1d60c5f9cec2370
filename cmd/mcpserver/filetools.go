package mcpserver

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

func (s *Server) addFileTools() {
	add(s, spec{name: "vm_read_file", title: "Read a file on a VM", foreign: true, bulk: "text",
		about: "The text of one file of a VM, of at most 4 MiB. For what is larger or no text: vm_pull."}, readFile)
	add(s, spec{name: "vm_list_files", title: "List files on a VM", foreign: true, bulk: "files",
		about: "What is in one folder of a VM: names, types, sizes, times."}, listFiles)
	add(s, spec{name: "vm_diff", title: "Is the copy complete", foreign: true, rooted: true, bulk: "differences",
		about: "Compare a VM's work with what is home: the copy is complete if changed, missing and failed are 0. Arguments as vm_pull."}, diff)
	add(s, spec{name: "vm_pull", title: "Bring files home", class: adds, gentle: true, again: true, foreign: true, rooted: true, bulk: "failures",
		about: "Fetch files and folders of a VM into a folder below the server's root, verified by hash; removes nothing. Again: fetches what changed, goes on where it stopped."}, pull)
	add(s, spec{name: "vm_write_file", title: "Write a file on a VM", class: acts, again: true, rooted: true,
		about: "Write a text to one file of a VM, replacing it; folders are made."}, writeFile)
}

type fileInput struct {
	page
	VM   string `json:"vm" jsonschema:"name, id or prefix of an id"`
	Path string `json:"path" jsonschema:"on the VM"`
}

type fileOutput struct {
	Text  string `json:"text"`
	Bytes int    `json:"bytes"`
}

// maxRead bounds what is read of one file: secrets are looked for in all of it, and
// not in the page that is asked for, where half of one would look like none.
const maxRead = 4 << 20

func readFile(ctx context.Context, c *call, in fileInput) (fileOutput, error) {
	vm, err := c.vm(ctx, in.VM)
	if err != nil {
		return fileOutput{}, err
	}
	var b bounded
	err = c.Remote.Cat(ctx, vm, in.Path, &b, func(done, total int64) { c.progress(ctx, "%d of %d bytes", done, total) })
	switch text := b.Bytes(); {
	case b.over:
		return fileOutput{}, usage("cannot show "+safe.Line(in.Path)+" of "+vm.Title(), "it is larger than 4 MiB", "fetch it with vm_pull, or look at a part of it with vm_exec")
	case err != nil:
		return fileOutput{}, err
	case bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text):
		return fileOutput{Bytes: len(text)}, usage("cannot show "+safe.Line(in.Path)+" of "+vm.Title(), "it is no text", "fetch it with vm_pull")
	default:
		return fileOutput{string(text), len(text)}, nil
	}
}

// bounded keeps at most maxRead bytes, and then fails.
type bounded struct {
	bytes.Buffer
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.over = b.over || b.Len()+len(p) > maxRead; b.over {
		return 0, fmt.Errorf("more than %d bytes", maxRead)
	}
	return b.Buffer.Write(p)
}

type filesOutput struct {
	Files []remote.File `json:"files"`
	Total int           `json:"total"`
}

func listFiles(ctx context.Context, c *call, in fileInput) (filesOutput, error) {
	vm, err := c.vm(ctx, in.VM)
	if err != nil {
		return filesOutput{}, err
	}
	list, err := c.Remote.Files(ctx, vm, in.Path)
	return filesOutput{list, len(list)}, err
}

type pullInput struct {
	VM    string   `json:"vm" jsonschema:"name, id or prefix of an id"`
	Paths []string `json:"paths,omitempty" jsonschema:"on the VM; a folder with a trailing slash means its contents; none: what the user configured (/root/workspace)"`
	Dest  string   `json:"dest,omitempty" jsonschema:"folder below the root; default: the VM's name"`
}

// request is the pull that the input means, into a folder that place finds below
// the root.
func (in pullInput) request(ctx context.Context, c *call, place func(string) (string, error)) (remote.PullRequest, error) {
	vm, err := c.vm(ctx, in.VM)
	if err != nil {
		return remote.PullRequest{}, err
	}
	dest, err := place(cmp.Or(in.Dest, vm.Title()))
	if err != nil {
		return remote.PullRequest{}, err
	}
	item := remote.PullItem{VM: vm}
	for _, p := range in.Paths {
		item.Add(p)
	}
	req := remote.PullRequest{Items: []remote.PullItem{item}, Dest: dest}
	req.Options.FreeSpace = keepFree
	return req, nil
}

// keepFree stays free on the disk here, as with vers-fleet pull, bytes.
const keepFree = 256 << 20

type pullOutput struct {
	VMID      string               `json:"vm_id,omitempty"`
	Dest      string               `json:"dest,omitempty"`
	Files     int64                `json:"files"`
	Bytes     int64                `json:"bytes"`
	Unchanged int64                `json:"unchanged"`
	Skipped   int64                `json:"skipped"`
	Failed    int64                `json:"failed"`
	Verified  string               `json:"verified,omitempty"`
	Failures  []remote.PullFailure `json:"failures"`
	Beware    []string             `json:"beware"`
}

func pull(ctx context.Context, c *call, in pullInput) (pullOutput, error) {
	req, err := in.request(ctx, c, c.server.folder)
	if err != nil {
		return pullOutput{}, err
	}
	req.OnEvent = func(_ inventory.VM, e remote.TransferEvent) {
		c.progress(ctx, "%d files, %d of %d bytes: %s", e.Files, e.Bytes, e.TotalBytes, e.Path)
	}
	results, err := c.Remote.Pull(ctx, req)
	c.NoteHome(ctx, req, results)
	if len(results) == 0 {
		return pullOutput{}, err
	}
	r := results[0]
	return pullOutput{r.VMID, r.Dest, r.Files, r.Bytes, r.Unchanged, r.Skipped, r.Failed, r.Verified, r.Failures, r.Beware}, err
}

type diffInput struct {
	page
	pullInput
}

// diffOutput is what remote.DiffResult tells, but for what an agent hardly needs:
// the list of tools is paid for by the word.
type diffOutput struct {
	State       string       `json:"state"`
	Dest        string       `json:"dest,omitempty"`
	Same        int64        `json:"same"`
	Changed     int64        `json:"changed"`
	Missing     int64        `json:"missing"`
	Extra       int64        `json:"extra"`
	Failed      int64        `json:"failed"`
	Differences []difference `json:"differences"`
}

type difference struct {
	Path  string `json:"path"`
	State string `json:"state"`
	Why   string `json:"why,omitempty"`
}

func diff(ctx context.Context, c *call, in diffInput) (diffOutput, error) {
	req, err := in.request(ctx, c, c.server.below)
	if err != nil {
		return diffOutput{State: remote.DiffUnknown}, err
	}
	results, err := c.Remote.Diff(ctx, req)
	if len(results) == 0 {
		return diffOutput{State: remote.DiffUnknown}, err
	}
	r := results[0]
	out := diffOutput{State: r.State, Dest: r.Dest, Same: r.Same, Changed: r.Changed, Missing: r.Missing, Extra: r.Extra, Failed: r.Failed}
	for _, d := range r.Differences {
		out.Differences = append(out.Differences, difference{d.Path, string(d.State), d.Why})
	}
	return out, err
}

type writeInput struct {
	VM      string `json:"vm" jsonschema:"name, id or prefix of an id"`
	Path    string `json:"path" jsonschema:"of the file on the VM, absolute"`
	Content string `json:"content"`
}

type writeOutput struct {
	VMID     string `json:"vm_id,omitempty"`
	Path     string `json:"path,omitempty"`
	Bytes    int    `json:"bytes"`
	Verified string `json:"verified,omitempty"`
}

func writeFile(ctx context.Context, c *call, in writeInput) (writeOutput, error) {
	if !path.IsAbs(in.Path) || strings.HasSuffix(in.Path, "/") || strings.ContainsRune(in.Path, 0) {
		return writeOutput{}, usage("cannot write "+safe.Line(in.Path), "it is no absolute path of a file", "for example /root/workspace/brief.md")
	}
	vm, err := c.vm(ctx, in.VM)
	if err != nil {
		return writeOutput{}, err
	}
	to := path.Clean(in.Path)
	local, remove, err := c.server.staged(path.Base(to), in.Content)
	if err != nil {
		return writeOutput{}, err
	}
	defer remove()
	r, err := c.Remote.Push(ctx, vm, remote.PushOptions{Sources: []string{local}, Dest: path.Dir(to) + "/", Checksum: true})
	if err != nil {
		return writeOutput{}, err
	}
	return writeOutput{r.VMID, to, len(in.Content), r.Verified}, nil
}

// staged is a text as a file here, of the name that it shall have there.
func (s *Server) staged(name, content string) (file string, remove func(), err error) {
	root, _, err := s.inRoot(wholeFolder)
	if err != nil {
		return "", nil, err
	}
	defer root.Close()
	dir, err := os.MkdirTemp(filepath.Join(s.o.Root, wholeFolder), ".send-")
	if err == nil {
		file = filepath.Join(dir, name)
		err = os.WriteFile(file, []byte(content), 0o644)
	}
	if err != nil {
		return "", nil, &problem.Error{Kind: problem.Storage, What: "cannot prepare the file", Why: problem.Cause(err), Origin: problem.OriginLocal, Err: err}
	}
	return file, func() { _ = os.RemoveAll(dir) }, nil
}
