package remote

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// mostRemotePaths bounds what a folder of many files offers.
const mostRemotePaths = 1000

// Paths returns the paths on a VM that begin with prefix, folders with a
// trailing slash, for a shell that completes a word. It uses what is recorded
// and asks the API nothing; ctx bounds it. Names that a shell could not take
// as one line are left out.
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
	var out bytes.Buffer
	if err := conn.Exec(ctx, "ls -1Ap -- "+safe.Word(folder), nil, &out, &bytes.Buffer{}); err != nil {
		return nil, err
	}
	var paths []string
	for entry := range strings.Lines(out.String()) {
		p := dir + strings.TrimSuffix(entry, "\n")
		if strings.HasPrefix(p, prefix) && !strings.ContainsFunc(p, safe.Unshowable) && len(paths) < mostRemotePaths {
			paths = append(paths, p)
		}
	}
	return paths, nil
}
