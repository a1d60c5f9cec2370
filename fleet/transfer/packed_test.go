//go:build unix

package transfer

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestPackedListings sends listings as a VM with zstd does: good, cut off,
// damaged, not compressed at all, and endless once they are unpacked.
func TestPackedListings(t *testing.T) {
	head := "R0\x00" + rec('d', "", 0, "") + rec('f', "ok", 4, "")
	good := packed(t, head+"E0\x00")
	damaged := bytes.Clone(good)
	damaged[len(damaged)/2] ^= 0xff
	for name, c := range map[string]struct {
		list []byte
		ok   bool
	}{
		"good":       {list: good, ok: true},
		"two frames": {list: append(packed(t, head), packed(t, "E0\x00")...), ok: true},
		"cut off":    {list: good[:len(good)-4]},
		"damaged":    {list: damaged},
		"not packed": {list: []byte(head + "E0\x00")},
		"nothing":    {},
		"endless":    {list: packed(t, head+string(bytes.Repeat([]byte("garbage\x00"), 8<<20)))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := newEvil("")
			vm.tools = "find\x00gnu\x00sha256sum\x00zstd\x00dd tee\x00"
			vm.listing = func(w io.Writer) { _, _ = w.Write(c.list) }
			d := newEvilDest(t)
			sum, err := evilPull(t, vm, d, PullOptions{Delete: !c.ok})
			if good := err == nil && sum.Failed == 0 && sum.Complete; good != c.ok {
				t.Errorf("failed %d, complete %v, error %v", sum.Failed, sum.Complete, err)
			}
			if sum.Deleted != 0 {
				t.Errorf("%d deleted", sum.Deleted)
			}
			if c.ok {
				goodArrived(t, d)
			}
		})
	}
}

func packed(t *testing.T, text string) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return enc.EncodeAll([]byte(text), nil)
}
