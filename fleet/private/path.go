package private

import (
	"os"
	"path/filepath"
	"strconv"
)

// pathMax is what fits into a socket's address on every system: 104 bytes on
// macOS, 108 on Linux (unix(7)), with the NUL at the end.
const pathMax = 103

// Path is where a socket of that name lies: in runtime, which is $XDG_RUNTIME_DIR,
// if it is the user's own, else in the folder state. The name must be unique to
// state.
func Path(runtime, state, name string) string {
	if runtime != "" && own(runtime) {
		if path := filepath.Join(runtime, "vers-fleet", name); len(path) <= pathMax {
			return path
		}
	}
	if path := filepath.Join(state, "run", name); len(path) <= pathMax {
		return path
	}
	// Whoever else made this folder first: none is used that is not private.
	return filepath.Join(os.TempDir(), "vers-fleet-"+strconv.Itoa(os.Getuid()), name)
}
