//go:build unix

package fleet

import (
	"math"
	"os"
	"syscall"
)

// own reports whether a folder is this user's alone to write to; after su or
// sudo XDG_RUNTIME_DIR may be somebody else's.
func own(dir string) bool {
	i, err := os.Stat(dir)
	if err != nil || !i.IsDir() || i.Mode().Perm()&0o022 != 0 {
		return false
	}
	st, ok := i.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// filesMost is how many files this process may have open.
func filesMost() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt32
	}
	return int(min(limit.Cur, math.MaxInt32))
}
