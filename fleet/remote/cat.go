package remote

import (
	"context"
	"errors"
	"io"

	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
)

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
