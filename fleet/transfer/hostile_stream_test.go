//go:build unix

package transfer

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// endless writes p until the reader has had enough.
func endless(w io.Writer, p string) {
	block := []byte(strings.Repeat(p, 1+32<<10/len(p)))
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// TestHostileStreams sends streams other than what was asked for.
func TestHostileStreams(t *testing.T) {
	header := func(h tar.Header, content string) func(*evilVM, *tar.Writer, string) {
		return func(vm *evilVM, tw *tar.Writer, name string) {
			h := h
			h.Size, h.Mode, h.Format = int64(len(content)), 0o7777, tar.FormatGNU
			_ = tw.WriteHeader(&h)
			_, _ = io.WriteString(tw, content)
			vm.send(tw, name)
		}
	}
	raw := func(text string) func(io.Writer) {
		return func(w io.Writer) { _, _ = io.WriteString(w, text) }
	}
	for name, c := range map[string]struct {
		each func(*evilVM, *tar.Writer, string) // instead of an entry
		all  func(io.Writer)                    // instead of the stream
	}{
		"not asked for":       {each: header(tar.Header{Typeflag: tar.TypeReg, Name: "/w/new"}, "evil")},
		"absolute":            {each: header(tar.Header{Typeflag: tar.TypeReg, Name: "/etc/evil"}, "evil")},
		"parent":              {each: header(tar.Header{Typeflag: tar.TypeReg, Name: "../../outside/evil"}, "evil")},
		"over mine":           {each: header(tar.Header{Typeflag: tar.TypeReg, Name: "/w/mine"}, "evil")},
		"symlink":             {each: header(tar.Header{Typeflag: tar.TypeSymlink, Name: "/w/ok", Linkname: "/etc/passwd"}, "")},
		"hard link":           {each: header(tar.Header{Typeflag: tar.TypeLink, Name: "/w/ok", Linkname: "/etc/passwd"}, "")},
		"device":              {each: header(tar.Header{Typeflag: tar.TypeBlock, Name: "/w/ok"}, "")},
		"character device":    {each: header(tar.Header{Typeflag: tar.TypeChar, Name: "/w/x"}, "")},
		"FIFO":                {each: header(tar.Header{Typeflag: tar.TypeFifo, Name: "/w/x"}, "")},
		"folder":              {each: header(tar.Header{Typeflag: tar.TypeDir, Name: "/w/ok"}, "")},
		"twice":               {each: header(tar.Header{Typeflag: tar.TypeReg, Name: "/w/ok"}, "fine")},
		"too long":            {each: header(tar.Header{Typeflag: tar.TypeReg, Name: "/w/ok"}, "fine, and more than was listed")},
		"too short":           {each: header(tar.Header{Typeflag: tar.TypeReg, Name: "/w/ok"}, "fi")},
		"other content":       {each: header(tar.Header{Typeflag: tar.TypeReg, Name: "/w/ok"}, "evil")},
		"empty":               {all: raw("")},
		"no archive":          {all: raw("this is not a tar archive at all")},
		"garbage":             {all: raw(strings.Repeat("garbage!", 10_000))},
		"zeros":               {all: func(w io.Writer) { endless(w, "\x00") }},
		"endless garbage":     {all: func(w io.Writer) { endless(w, "evil") }},
		"endless entries":     {all: func(w io.Writer) { endlessEntries(w) }},
		"endless unasked":     {all: func(w io.Writer) { hugeEntry(w, "/w/evil") }},
		"endless asked":       {all: func(w io.Writer) { hugeEntry(w, "/w/ok") }},
		"endless name":        {all: func(w io.Writer) { longName(w, 1<<40) }},
		"long name":           {all: func(w io.Writer) { longName(w, 64<<20) }},
		"cut in a header":     {all: raw(strings.Repeat("x", 300))},
		"cut in the contents": {all: func(w io.Writer) { cutEntry(w) }},
	} {
		eachWay(t, name, func(t *testing.T, tools string) {
			vm := newEvil("")
			vm.tools = tools
			vm.tar = func(w io.Writer, names <-chan string) {
				if c.all != nil {
					<-names
					c.all(w)
					return
				}
				tw := tar.NewWriter(w)
				for name := range names {
					c.each(vm, tw, name)
				}
				_ = tw.Close()
			}
			d := newEvilDest(t)
			_, err := evilPull(t, vm, d, PullOptions{})
			check(t, err)
			goodArrived(t, d) // by being read by itself
			if _, err := os.Lstat(filepath.Join(d.dest, "new")); err == nil {
				t.Error("something arrived that was not asked for")
			}
		})
	}
}

func endlessEntries(w io.Writer) {
	tw := tar.NewWriter(w)
	for i := 0; ; i++ {
		if tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint("/w/evil", i)}) != nil {
			return
		}
	}
}

func hugeEntry(w io.Writer, name string) {
	tw := tar.NewWriter(w)
	_ = tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 1 << 50, Format: tar.FormatGNU})
	endless(tw, "evil")
}

func cutEntry(w io.Writer) {
	tw := tar.NewWriter(w)
	_ = tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "/w/ok", Size: 4})
	_, _ = io.WriteString(w, "fi")
}

// longName sends a GNU long name header of this size.
func longName(w io.Writer, size int64) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	_ = tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "././@LongLink", Size: size, Format: tar.FormatGNU})
	h := b.Bytes()[:512]
	h[156] = 'L'
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
	_, _ = w.Write(h)
	endless(w, "n")
}

// TestHostileListings sends listings that make no sense.
func TestHostileListings(t *testing.T) {
	text := func(s string) func(io.Writer) { return func(w io.Writer) { _, _ = io.WriteString(w, s) } }
	good := rec('f', "ok", 4, "")
	for name, c := range map[string]struct {
		list func(io.Writer)
		ok   bool // the honest file must come all the same
	}{
		"empty":             {list: text("")},
		"no end":            {list: text("R0\x00" + good), ok: true},
		"wrong root":        {list: text("R7\x00" + good + "E0\x00")},
		"negative root":     {list: text("R-1\x00" + good + "E0\x00")},
		"roots without end": {list: func(w io.Writer) { endless(w, "R0\x00") }},
		"garbage before":    {list: text("R0\x00garbage\x00more\x00" + good + "E0\x00"), ok: true},
		"endless garbage":   {list: func(w io.Writer) { endless(w, "garbage\x00") }},
		"endless token":     {list: func(w io.Writer) { endless(w, "x") }},
		"huge size":         {list: text("R0\x00Ff 99999999999999999999 644 1.0 1 0 1 8\x00\x00huge\x00" + good + "E0\x00"), ok: true},
		"negative size":     {list: text("R0\x00Ff -5 644 1.0 1 0 1 8\x00\x00neg\x00" + good + "E0\x00"), ok: true},
		"mode of letters":   {list: text("R0\x00Ff 4 rwx 1.0 1 0 1 8\x00\x00mode\x00" + good + "E0\x00"), ok: true},
		"time far away":     {list: text("R0\x00Ff 4 644 99999999999999.0 1 0 1 8\x00\x00time\x00" + good + "E0\x00"), ok: true},
		"few fields":        {list: text("R0\x00Ff 4 644\x00\x00few\x00" + good + "E0\x00"), ok: true},
		"no root":           {list: text(good + "R0\x00" + good + "E0\x00"), ok: true},
		"after the end":     {list: text("R0\x00" + good + "E0\x00" + rec('f', "late", 4, "") + "E0\x00"), ok: true},
		"error status":      {list: text("R0\x00" + good + "E1\x00"), ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := newEvil("")
			vm.listing = c.list
			d := newEvilDest(t)
			sum, err := evilPull(t, vm, d, PullOptions{Delete: true})
			if err == nil && sum.Failed == 0 && sum.Complete {
				t.Error("taken for a good listing")
			}
			if sum.Deleted != 0 {
				t.Errorf("%d deleted after a bad listing", sum.Deleted)
			}
			if c.ok {
				goodArrived(t, d)
			}
		})
	}
	for _, tools := range []string{"find\x00", "evil\x00a\x00b\x00c\x00d\x00", "\x00\x00\x00\x00\x00"} {
		vm := newEvil("")
		vm.tools = tools
		if sum, err := evilPull(t, vm, newEvilDest(t), PullOptions{}); err == nil && sum.Failed == 0 {
			t.Errorf("tools %q: no error", tools)
		}
	}
}

// TestHostileProofs lies about hashes, sizes and contents.
func TestHostileProofs(t *testing.T) {
	for name, evil := range map[string]func(*evilVM){
		"wrong hash": func(vm *evilVM) {
			vm.prefix = func(string, int64) string { return strings.Repeat("ab", 32) }
			vm.hash = func(w io.Writer, names <-chan string) {
				for n := range names {
					_, _ = fmt.Fprintf(w, "%s  %s\n", strings.Repeat("ab", 32), n)
				}
			}
		},
		"hash of others": func(vm *evilVM) {
			vm.prefix = func(string, int64) string { return "-" }
			vm.hash = func(w io.Writer, _ <-chan string) { endless(w, strings.Repeat("ab", 32)+"  /etc/passwd\n") }
		},
		"endless cat": func(vm *evilVM) {
			vm.tar = func(io.Writer, <-chan string) {}
			vm.cat = func(w io.Writer, _ string) { endless(w, "evil") }
		},
		"gone": func(vm *evilVM) {
			vm.tar = func(io.Writer, <-chan string) {}
			vm.why = "D"
		},
		"odd letters": func(vm *evilVM) {
			vm.tar = func(io.Writer, <-chan string) {}
			vm.why = "\xff"
		},
	} {
		eachWay(t, name, func(t *testing.T, tools string) {
			vm := newEvil("")
			vm.tools = tools
			evil(vm)
			d := newEvilDest(t)
			sum, err := evilPull(t, vm, d, PullOptions{})
			check(t, err)
			if _, err := os.Lstat(filepath.Join(d.dest, "ok")); err == nil || sum.Failed == 0 {
				t.Errorf("unproven content has its final name (%v), failed %d", err, sum.Failed)
			}
		})
	}
}

// TestHostileLimits fills the disk and the memory.
func TestHostileLimits(t *testing.T) {
	d := newEvilDest(t)
	sum, err := evilPull(t, newEvil(strings.Replace(rec('f', "huge", 1<<44, ""), " 8\x00", " 34359738368\x00", 1)), d, PullOptions{})
	check(t, err)
	if sum.Failed != 1 || sum.Failures[0].Kind != FailLimit {
		t.Errorf("a file larger than the disk: %+v", sum.Failures)
	}
	goodArrived(t, d)
	d = newEvilDest(t)
	sum, err = evilPull(t, newEvil(rec('f', "big", 5000, "")), d, PullOptions{MaxTotal: 1000})
	check(t, err)
	if sum.Failed != 1 || sum.Failures[0].Kind != FailLimit {
		t.Errorf("MaxTotal: %+v", sum.Failures)
	}
	goodArrived(t, d)
	d = newEvilDest(t)
	sum, err = evilPull(t, newEvil(""), d, PullOptions{FreeSpace: 1 << 60})
	check(t, err)
	if sum.Failed != 1 || sum.Failures[0].Kind != FailLimit {
		t.Errorf("FreeSpace: %+v", sum.Failures)
	}
}

// TestHostileMemory lists a great many refused names: the summary stays small.
func TestHostileMemory(t *testing.T) {
	vm := newEvil("")
	vm.listing = func(w io.Writer) {
		_, _ = io.WriteString(w, "R0\x00"+rec('f', "ok", 4, ""))
		for range 300_000 {
			_, _ = io.WriteString(w, rec('f', "../evil", 4, ""))
		}
		_, _ = io.WriteString(w, "E0\x00")
	}
	d := newEvilDest(t)
	sum, err := evilPull(t, vm, d, PullOptions{})
	check(t, err)
	if len(sum.Failures) != MaxFailures || sum.Failed != 300_000 {
		t.Errorf("%d failures kept of %d", len(sum.Failures), sum.Failed)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d MiB in use", m.HeapAlloc>>20)
	}
	goodArrived(t, d)
}
