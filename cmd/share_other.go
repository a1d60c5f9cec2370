//go:build !unix

package cmd

import (
	"errors"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/fleet/access"
)

// startShare is not possible here; every command makes its own connection.
func (e *Env) startShare(*settings.Settings, []string, access.Background) error {
	return errors.ErrUnsupported
}

func closeInherited() {}

func hideMemory() error { return errors.ErrUnsupported }
