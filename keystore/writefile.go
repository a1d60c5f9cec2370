package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WriteFile replaces a file outside the store durably: a temporary file beside
// it, synced, renamed, and the folder synced. It is for what the user asked to
// be written somewhere, such as a receipt or a bundle. What a writer of the
// same file left when it was killed goes away.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	sweepBeside(path)
	st, err := stage(lockFile, path, data, true)
	if err != nil {
		return err
	}
	if err := os.Chmod(st.temp, mode.Perm()); err != nil {
		return errors.Join(ioError("write", path, err), discard(st.temp))
	}
	if err := st.commit(); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// lockFile stands in the names of WriteFile's temporary files, which no lock
// guards.
const lockFile = "file"

// abandonedAfter is when a temporary file that no lock guards cannot be in use
// any more: writing one takes seconds at most.
const abandonedAfter = 10 * time.Minute

// sweepBeside removes temporary files that killed writers of path left. It
// stops nothing: they only take up space.
func sweepBeside(path string) {
	dir, base := filepath.Split(path)
	entries, _ := os.ReadDir(filepath.Clean(dir + "."))
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix+lockFile+"~"+base+"~") {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
