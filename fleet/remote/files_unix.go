//go:build unix

package remote

import (
	"math"
	"syscall"
)

// filesMost is how many files this process may have open.
func filesMost() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt32
	}
	return int(min(limit.Cur, math.MaxInt32))
}
