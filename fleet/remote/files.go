package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
)

// File is an entry of a folder on a VM. The JSON names are stable.
type File struct {
	Name     string    `json:"name"` // as the VM has it
	Type     string    `json:"type"` // file, folder, link or other
	Size     int64     `json:"size,omitempty"`
	Modified time.Time `json:"modified_at,omitzero"`
}

// mostFiles bounds a listing of one folder.
const mostFiles = 10_000

// listFiles prints what is in the folder $1, or the file $1 itself: of each entry
// its type and name after a NUL, then their sizes and times, a line each. Without
// stat(1), or where a name went away meanwhile, those are missing. A name alone may be
// "-", which is the folder before to cd, and stdin to stat.
const listFiles = `case $1 in /*) ;; *) set -- "./$1" ;; esac
if [ -d "$1" ]; then CDPATH= cd -- "$1" || exit 1
set -- * .*
elif [ -e "$1" ] || [ -L "$1" ]; then :
else exit 44
fi
n=$#
while [ "$n" -gt 0 ]; do
  f=$1; shift; n=$((n - 1))
  case $f in .|..) continue ;; esac
  if [ -L "$f" ]; then t=l; elif [ -d "$f" ]; then t=d; elif [ -f "$f" ]; then t=f; elif [ -e "$f" ]; then t=o; else continue; fi
  printf "\0%s%s" "$t" "${f#./}"
  case $f in /*) ;; *) f=./$f ;; esac
  set -- "$@" "$f"
done
printf "\0\0"
[ $# -eq 0 ] || stat -c "%s %Y" -- "$@" 2>/dev/null || :`

// notListed is the status of listFiles when there is nothing of that name.
const notListed = 44

// Files lists a folder of a VM, or one file: names in the order of the VM's shell.
// The error is of kind NotFound when there is no such path.
func (rm *Remote) Files(ctx context.Context, vm inventory.VM, path string) ([]File, error) {
	conn, err := rm.o.Access.Connect(ctx, vm, access.How{})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	text, err := folderText(ctx, conn, safe.Script(listFiles, path))
	var exit *sshconn.ExitError
	if errors.As(err, &exit) {
		e := &problem.Error{Kind: problem.Refused, What: "cannot list " + safe.Line(path) + " on " + vm.Title(), Why: "it cannot be entered there", Origin: problem.OriginRemote, Err: err}
		if exit.Status == notListed {
			e.Kind, e.Why = problem.NotFound, "no such file or folder on the VM"
		}
		return nil, e
	}
	if err != nil {
		return nil, transferError(ctx, vm, "read from", err)
	}
	return parseFiles(text), nil
}

// parseFiles reads what listFiles printed.
func parseFiles(text string) []File {
	names, facts, _ := strings.Cut(text, "\x00\x00")
	kinds := map[byte]string{'f': "file", 'd': "folder", 'l': "link", 'o': "other"}
	var list []File
	for entry := range strings.SplitSeq(names, "\x00") {
		if len(entry) > 1 && kinds[entry[0]] != "" && len(list) < mostFiles {
			list = append(list, File{Name: entry[1:], Type: kinds[entry[0]]})
		}
	}
	lines := strings.Split(strings.TrimSpace(facts), "\n")
	if len(lines) != len(list) {
		return list // which is whose cannot be told
	}
	for i, line := range lines {
		size, at, _ := strings.Cut(line, " ")
		list[i].Size, _ = strconv.ParseInt(size, 10, 64)
		if seconds, err := strconv.ParseInt(at, 10, 64); err == nil {
			list[i].Modified = time.Unix(seconds, 0).UTC()
		}
	}
	return list
}

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
