//go:build unix

package settings

import (
	"io/fs"
	"testing"
)

// A group of one's own is no other; root has none.
func TestWritable(t *testing.T) {
	group := func() (int, bool) { return 1000, true }
	none := func() (int, bool) { return 0, false }
	for _, c := range []struct {
		mode     fs.FileMode
		gid, uid int
		group    func() (int, bool)
		want     bool
	}{
		{0o644, 1000, 1000, group, false}, {0o664, 1000, 1000, group, false}, {0o664, 100, 1000, group, true},
		{0o664, 1000, 1000, none, true}, {0o666, 1000, 1000, group, true}, {0o602, 1000, 1000, group, true},
		{0o664, 0, 0, group, true}, {0o600, 0, 0, none, false},
	} {
		if got := writable(c.mode, c.gid, c.uid, c.group); got != c.want {
			t.Errorf("mode %o, group %d, user %d: %v", c.mode, c.gid, c.uid, got)
		}
	}
}
