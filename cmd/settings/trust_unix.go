//go:build unix

package settings

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// distrusted refuses, as ssh does with its own, a configuration file that
// another user could have written: the command it names runs as this one.
// Asked after the file was read, it cannot be deceived by an exchange in a
// folder that only this user can write to.
func distrusted(path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // os.DevNull
		return err
	}
	if why, next := foreign(info); why != "" {
		return distrust(path, "it", path, why, next)
	}
	folders := []string{filepath.Dir(path)}
	if target, err := filepath.EvalSymlinks(path); err == nil && target != filepath.Clean(path) {
		folders = append(folders, filepath.Dir(target))
	}
	for _, folder := range folders {
		info, err := os.Stat(folder)
		if err != nil {
			return err
		}
		if why, next := foreign(info); why != "" {
			return distrust(path, "its folder "+folder, folder, why, next)
		}
	}
	return nil
}

func distrust(path, what, mend, why, next string) error {
	return usage("refusing the configuration file "+path, what+" "+why+", and a command that it names would run as you", next+" "+safe.Word(mend))
}

// foreign says how another user could change what info is of, and what undoes
// that. Root is trusted, and so is a folder from which only its owner can take
// a file away.
func foreign(info fs.FileInfo) (why, next string) {
	st, ok := info.Sys().(*syscall.Stat_t)
	me := os.Geteuid()
	switch {
	case !ok:
		return "", ""
	case int(st.Uid) != me && st.Uid != 0:
		return fmt.Sprintf("belongs to the user %d", st.Uid), fmt.Sprintf("chown %d", me)
	case info.IsDir() && info.Mode()&fs.ModeSticky != 0:
		return "", ""
	case writable(info.Mode(), int(st.Gid), me, ownGroup):
		return fmt.Sprintf("can be written by others (mode %04o)", info.Mode().Perm()), "chmod go-w"
	}
	return "", ""
}

// writable tells whether others than the owner may write. Where each user has
// a group of their own, as on Debian, Ubuntu and Fedora, files are made writable
// for it; nobody else is in it.
func writable(mode fs.FileMode, gid, uid int, ownGroup func() (int, bool)) bool {
	if mode&0o020 == 0 || mode&0o002 != 0 || uid == 0 {
		return mode&0o022 != 0
	}
	own, ok := ownGroup()
	return !ok || own != gid
}

// ownGroup is the group of this user that has the user's name.
func ownGroup() (gid int, ok bool) {
	u, err := user.Current()
	if err != nil {
		return 0, false
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil || g.Name != u.Username {
		return 0, false
	}
	gid, err = strconv.Atoi(u.Gid)
	return gid, err == nil
}
