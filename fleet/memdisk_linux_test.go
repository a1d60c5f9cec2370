package fleet_test

import (
	"os"

	"golang.org/x/sys/unix"
)

// useMemoryDisk has the tests of this package write into memory, where there is
// enough: thousands of homes are made and synced, which proves nothing here
// (the keystore's own tests use the disk) and lets a busy disk decide how long
// everything takes. clean removes what is left.
func useMemoryDisk() (clean func()) {
	const disk, enough = "/dev/shm", 1 << 30
	var s unix.Statfs_t
	if unix.Statfs(os.TempDir(), &s) == nil && s.Type == unix.TMPFS_MAGIC { // as .ci/test has it
		return func() {}
	}
	if unix.Statfs(disk, &s) != nil || s.Type != unix.TMPFS_MAGIC || s.Bavail*uint64(s.Bsize) < enough {
		return func() {}
	}
	dir, err := os.MkdirTemp(disk, "vers-fleet-test-")
	if err != nil || os.Setenv("TMPDIR", dir) != nil {
		return func() {}
	}
	return func() { _ = os.RemoveAll(dir) }
}
