//go:build unix

package private

import (
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
