//go:build unix && !linux && !darwin

package private

import "errors"

func peerUID(int) (int, error) { return -1, errors.ErrUnsupported }
