// Package confine has the kernel hold this process to what it is about to write.
// It owns that one promise and decides nothing about what is written.
package confine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// writing are the ways to change a file system (linux/landlock.h, up to ABI 3).
// Reading, running programs and sockets stay free.
const writing landlock.AccessFSSet = ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSRefer |
	ll.AccessFSRemoveDir | ll.AccessFSRemoveFile | ll.AccessFSMakeChar | ll.AccessFSMakeDir | ll.AccessFSMakeReg |
	ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSMakeBlock | ll.AccessFSMakeSym

// toFile are those of them that a rule for a file may have.
const toFile landlock.AccessFSSet = ll.AccessFSWriteFile | ll.AccessFSTruncate

// Writes lets this process and its children write nothing any more but what is in
// these folders, the files among paths, and the terminal. What does not exist yet
// may be made: then the folder that it would be made in is open, or the nearest
// one above that exists. Descriptors that are open stay as they are.
//
// It is for good, and holds on Linux where the kernel has landlock, from 5.19 on
// with renames between folders; elsewhere nothing happens, and that is no error.
func Writes(paths ...string) error {
	rules := []landlock.Rule{landlock.PathAccess(toFile, "/dev/null", "/dev/tty").IgnoreIfMissing()}
	for _, path := range paths {
		rule, err := allow(path)
		if err != nil {
			return err
		}
		rules = append(rules, rule)
	}
	return landlock.Config{HandledAccessFS: writing}.BestEffort().RestrictPaths(rules...)
}

// allow is the rule for a path.
func allow(path string) (landlock.Rule, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	for {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path):
			path = filepath.Dir(path)
		case err != nil:
			return nil, err
		case info.IsDir():
			return landlock.PathAccess(writing, path), nil
		default:
			return landlock.PathAccess(toFile, path), nil
		}
	}
}
