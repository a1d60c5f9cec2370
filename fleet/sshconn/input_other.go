//go:build !unix

package sshconn

import (
	"errors"
	"io"
	"os"
)

// newFileInput is not possible here: a console read cannot be interrupted.
func newFileInput(*os.File) (input, error) { return nil, errors.ErrUnsupported }

// DiscardTyped does nothing here.
func DiscardTyped(io.Reader) {}
