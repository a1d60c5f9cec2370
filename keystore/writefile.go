package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces a file outside the store durably: a temporary file beside
// it, synced, renamed, and the folder synced. It is for what the user asked to
// be written somewhere, such as a receipt or a bundle.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	st, err := stage("file", path, data, true)
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
