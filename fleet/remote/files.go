package remote

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
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
// stat(1), or where a name went away meanwhile, those are missing.
const listFiles = `if [ -d "$1" ]; then CDPATH= cd -- "$1" || exit 1
set -- * .*
elif [ -e "$1" ] || [ -L "$1" ]; then :
else exit 44
fi
n=$#
while [ "$n" -gt 0 ]; do
  f=$1; shift; n=$((n - 1))
  case $f in .|..) continue ;; esac
  if [ -L "$f" ]; then t=l; elif [ -d "$f" ]; then t=d; elif [ -f "$f" ]; then t=f; elif [ -e "$f" ]; then t=o; else continue; fi
  printf "\0%s%s" "$t" "$f"
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
