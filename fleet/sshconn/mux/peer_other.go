//go:build unix && !linux && !darwin

package mux

import "errors"

func peerUID(int) (int, error) { return -1, errors.ErrUnsupported }
