// Package dest is the security border of a pull: the only writer, on this
// machine, of names that a VM chose.
//
// It owns the destination folder (DEST): which names and link targets may be
// written, the partial folder in which files are unfinished, their temporary
// names and journals, the folders kept open, the rename into place, modes and
// times, and deletion. What it holds at every moment:
//
//   - Nothing outside DEST is written, deleted or given another mode. Every path
//     goes through os.Root one folder at a time, and a symlink on the way is
//     refused even if it stays inside. A folder that is swapped for a symlink
//     meanwhile leads nowhere: folders are held open, not looked up again.
//   - Each name is checked here, whatever the caller did (CheckName); so is the
//     target of each symlink (BadTarget, LeadsOut).
//   - A final name is absent, old or whole: content is written below a name that
//     this package made, and renamed. What lies at a final name is replaced by
//     rename, never written into, and a folder is never replaced by a file.
//   - Nothing is written to or removed from vers-fleet's own configuration and
//     state, nor the home folder's dotfiles unless they were asked for, wherever
//     DEST is (Shields).
//   - Setuid, setgid and sticky bits are never set; devices, sockets and FIFOs
//     never made.
//
// It never talks to a VM, knows no hash and no connection, and decides nothing
// about what is wanted: package transfer does. It returns plain errors of the
// file system, ErrInTheWay, *NameError and *OwnError.
package dest
