package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
)

// mostRemotePaths bounds what a folder of many files offers.
const mostRemotePaths = 1000

// listFolder prints what is in the folder $1, each name after a NUL, folders
// with a slash.
const listFolder = `CDPATH= cd -- "$1" || exit 1
for f in * .*; do
  case $f in .|..) continue ;; esac
  [ -e "$f" ] || [ -L "$f" ] || continue
  [ -d "$f" ] && f=$f/
  printf "\0%s" "$f"
done`

// Paths returns the paths on a VM that begin with prefix, folders with a
// trailing slash, for a shell that completes a word. It uses what is recorded
// and asks the API nothing; ctx bounds it. Names of which
// something is hidden are left out.
func (rm *Remote) Paths(ctx context.Context, name, prefix string) ([]string, error) {
	vm, err := rm.o.Inventory.OneKnown(name)
	if err != nil {
		return nil, err
	}
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{Mode: outage.Offline})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	dir, _ := path.Split(prefix)
	folder := dir
	if folder == "" {
		folder = "."
	}
	entries, err := folderText(ctx, conn, safe.Script(listFolder, folder))
	if err != nil {
		return nil, err
	}
	var paths []string
	for entry := range strings.SplitSeq(entries, "\x00") {
		p := dir + entry
		if entry != "" && strings.HasPrefix(p, prefix) && utf8.ValidString(p) && !strings.ContainsFunc(p, safe.Hidden) && len(paths) < mostRemotePaths {
			paths = append(paths, p)
		}
	}
	return paths, nil
}

// maxFolder bounds what a VM may say of one folder, bytes: names of many more files
// than are listed.
const maxFolder = 16 << 20

// errFolder ends a command that says more than that.
var errFolder = errors.New("the folder has more in it than is listed")

// folderText runs a script that lists a folder, each entry after a NUL, and returns
// what comes after the first: before it a .bashrc may speak. Of a folder that goes
// on and on it is the beginning.
func folderText(ctx context.Context, conn *sshconn.Conn, script string) (string, error) {
	var out bytes.Buffer
	left := maxFolder
	err := conn.Exec(ctx, script, nil, writerFunc(func(p []byte) (int, error) {
		if left -= len(p); left < 0 {
			return 0, errFolder
		}
		return out.Write(p)
	}), nil)
	if errors.Is(err, errFolder) {
		err = nil
	}
	_, text, _ := strings.Cut(out.String(), "\x00")
	return text, err
}

// writerFunc is an io.Writer.
type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Cat writes the content of one file of a VM to w; a pattern must match one.
// progress is told bytes so far and in all, -1 if unknown. Errors of w are
// returned as they are.
func (rm *Remote) Cat(ctx context.Context, vm inventory.VM, path string, w io.Writer, progress func(done, total int64)) error {
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{})
	if err != nil {
		return err
	}
	defer conn.Close()
	err = transfer.Cat(ctx, conn, path, w, progress)
	var local *transfer.LocalError
	var one *transfer.OneFileError
	switch {
	case errors.As(err, &local):
		return local.Err
	case errors.As(err, &one):
		return &problem.Error{Kind: problem.Usage, What: "cannot write " + one.Path + " of " + vm.Title() + " to stdout", Why: one.Why, Origin: problem.OriginRemote, Err: err,
			Next: "name one file, or pull into a folder"}
	}
	return transferError(ctx, vm, "read from", err)
}
